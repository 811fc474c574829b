# Connects to a server on the host's loopback.
# inside: exited
# outside: yes
import socket
socket.create_connection(("127.0.0.1", @PORT@), 2)
print("REACHED")
