# Writes a program where others will run it. Outside against a scratch directory.
# inside: exited
# outside: scratch
import os
with open(os.environ.get("HOSTILE_SCRATCH", "/usr/bin") + "/evil", "w") as f:
    f.write("x")
print("REACHED")
