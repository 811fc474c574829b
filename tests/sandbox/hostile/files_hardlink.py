# Takes a file of the system into its own directory to change it. Outside against a scratch directory.
# inside: exited
# outside: scratch
import os
os.link(os.environ.get("HOSTILE_SCRATCH", "/usr/bin") + ("/secret" if "HOSTILE_SCRATCH" in os.environ else "/env"), "taken")
print("REACHED")
