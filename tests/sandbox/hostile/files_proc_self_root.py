# Goes out through /proc/self/root.
# inside: exited
# outside: yes
open("/proc/self/root/@SCRATCH@/secret").read()
print("REACHED")
