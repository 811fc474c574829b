# Connects by IPv6. Outside: the machine may have none.
# inside: exited
# outside: maybe
import socket
s = socket.socket(socket.AF_INET6)
s.bind(("::1", 0))
print("REACHED")
