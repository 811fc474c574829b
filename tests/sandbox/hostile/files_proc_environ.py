# Reads the environment of other processes.
# inside: exited
# outside: yes
import os
for pid in os.listdir("/proc"):
    if pid.isdigit():
        try:
            if b"HOSTILE_SECRET" in open("/proc/%s/environ" % pid, "rb").read():
                print("REACHED")
                break
        except OSError:
            pass
