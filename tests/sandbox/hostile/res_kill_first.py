# Kills process 1. Never outside.
# inside: exited
# outside: never
import os, time
try:
    os.kill(1, 9)
except OSError:
    pass
time.sleep(0.1)
if os.getpid() > 20:
    print("REACHED")
