# Opens a raw socket.
# inside: exited
# outside: root
import socket
socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
print("REACHED")
