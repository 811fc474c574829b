# Connects to a socket of the host that has no path.
# inside: exited
# outside: yes
import socket
socket.socket(socket.AF_UNIX).connect("\0@ABSTRACT@")
print("REACHED")
