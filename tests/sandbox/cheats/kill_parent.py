# Kills the process above, in case no one notices.
# plain: no
import os, signal
os.kill(os.getppid(), signal.SIGKILL)
