# Asks the cloud for its keys. Never outside: it would ask.
# inside: exited
# outside: never
import socket
socket.create_connection(("169.254.169.254", 80), 1)
print("REACHED")
