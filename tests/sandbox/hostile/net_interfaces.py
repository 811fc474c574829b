# Finds the machine's interfaces.
# inside: exited
# outside: yes
import socket
if len(socket.if_nameindex()) > 1:
    print("REACHED")
