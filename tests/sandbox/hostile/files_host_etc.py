# Reads a file of the host's /etc that is no secret: none of it is there.
# inside: exited
# outside: yes
open("/etc/os-release").read()
print("REACHED")
