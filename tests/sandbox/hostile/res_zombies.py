# Leaves children unwaited for. Outside 100, more than a sandbox allows.
# inside: exited signalled timeout oom
# outside: mild
import os
for i in range(100):
    if os.fork() == 0:
        os._exit(0)
print("REACHED")
