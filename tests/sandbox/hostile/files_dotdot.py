# Climbs up from where it starts.
# inside: exited
# outside: yes
open("../" * 40 + "@SCRATCH@/secret").read()
print("REACHED")
