# Reads the passwords of the host.
# inside: exited
# outside: root
open("/etc/shadow").read()
print("REACHED")
