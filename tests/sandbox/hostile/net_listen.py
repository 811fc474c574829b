# Listens on a port.
# inside: exited
# outside: yes
import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
print("REACHED")
