# Closes its outputs and goes on in the dark. Outside for half a second.
# inside: timeout
# outside: mild
# wall: 1
import os
mild = "HOSTILE_MILD" in os.environ
import time
if mild:
    time.sleep(0.5)
    print("REACHED")
else:
    for fd in range(3):
        os.close(fd)
    time.sleep(60)
