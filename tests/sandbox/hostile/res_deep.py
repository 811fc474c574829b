# Makes directories without end in each other. Outside 500 in a scratch directory.
# inside: exited signalled oom timeout
# outside: scratch
# wall: 8
import os
mild = "HOSTILE_SCRATCH" in os.environ
for i in range(500 if mild else 400000):
    os.mkdir("d")
    os.chdir("d")
print("REACHED")
