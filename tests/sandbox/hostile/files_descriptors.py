# Looks for open files that it was not given. Outside one is left open to it.
# inside: exited
# outside: yes
import os
for fd in range(3, 4096):
    try:
        os.fstat(fd)
        print("REACHED")
        break
    except OSError:
        pass
