# Listens to all packets of the machine.
# inside: exited
# outside: root
import socket
socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
print("REACHED")
