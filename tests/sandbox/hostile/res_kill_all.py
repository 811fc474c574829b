# Kills every process it can. Never outside.
# inside: signalled exited
# outside: never
import os
os.kill(-1, 9)
