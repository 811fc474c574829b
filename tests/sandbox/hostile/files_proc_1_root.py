# Goes out through the first process.
# inside: exited
# outside: root
import os
if os.listdir("/proc/1/root/usr"):
    print("REACHED")
