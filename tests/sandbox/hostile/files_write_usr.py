# Replaces a library. Outside against a scratch directory.
# inside: exited
# outside: scratch
import os
with open(os.environ.get("HOSTILE_SCRATCH", "/usr/lib") + "/libevil.so", "w") as f:
    f.write("x")
print("REACHED")
