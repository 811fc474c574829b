# Reads what others have in the host's /tmp.
# inside: exited
# outside: yes
open("@SCRATCH@/secret").read()
print("REACHED")
