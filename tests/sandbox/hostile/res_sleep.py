# Sleeps. Outside half a second.
# inside: timeout
# outside: mild
# wall: 1
import os
mild = "HOSTILE_MILD" in os.environ
import time
time.sleep(0.5 if mild else 60)
print("REACHED")
