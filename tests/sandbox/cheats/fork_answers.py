# Forks, and lets the child answer with success.
# plain: no
import os
if os.fork() == 0:
    print("passed", flush=True)
    os._exit(0)
os._exit(0)
