# Writes a file in /dev, which is memory too. Outside against a scratch directory.
# inside: exited
# outside: scratch
import os
with open(os.environ.get("HOSTILE_SCRATCH", "/dev") + "/evil", "w") as f:
    f.write("x")
print("REACHED")
