# Computes for ever. Outside half a second.
# inside: timeout
# outside: mild
# wall: 1
import os
mild = "HOSTILE_MILD" in os.environ
import time
until = time.time() + (0.5 if mild else 60)
while time.time() < until:
    pass
print("REACHED")
