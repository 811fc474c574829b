# Writes to /, whose memory no limit counts. Outside against a scratch directory.
# inside: exited
# outside: scratch
import os
with open(os.environ.get("HOSTILE_SCRATCH", "") + "/evil", "w") as f:
    f.write("x")
print("REACHED")
