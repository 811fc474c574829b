# Sends a datagram to the host.
# inside: exited
# outside: yes
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", @PORT@))
print("REACHED")
