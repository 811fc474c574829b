# Asks the kernel for the machine's network.
# inside: exited
# outside: yes
import socket
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
s.bind((0, 0))
print("REACHED")
