# Makes files without end. Outside 60,000 in a scratch directory.
# inside: exited signalled oom timeout
# outside: scratch
# wall: 8
import os
mild = "HOSTILE_SCRATCH" in os.environ
for i in range(60000 if mild else 400000):
    os.close(os.open("f%d" % i, os.O_CREAT | os.O_WRONLY))
print("REACHED")
