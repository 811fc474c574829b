# Looks through /sys.
# inside: exited
# outside: yes
import os
if os.listdir("/sys"):
    print("REACHED")
