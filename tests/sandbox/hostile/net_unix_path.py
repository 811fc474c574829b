# Connects to a socket of the host by its path.
# inside: exited
# outside: yes
import socket
socket.socket(socket.AF_UNIX).connect("@SCRATCH@/socket")
print("REACHED")
