# Opens a socket to the hypervisor. Outside: needs a kernel with vsock.
# inside: exited
# outside: maybe
import socket
socket.socket(40, socket.SOCK_STREAM)
print("REACHED")
