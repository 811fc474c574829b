# Looks an answer up. Outside: needs a network.
# inside: exited
# outside: maybe
import socket
socket.getaddrinfo("example.com", 80)
print("REACHED")
