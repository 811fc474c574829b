# Stops itself. Outside a child does, and is continued.
# inside: timeout
# outside: mild
# wall: 1
import os
mild = "HOSTILE_MILD" in os.environ
import signal
if mild:
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    os.kill(child, signal.SIGCONT)
    os.waitpid(child, 0)
    print("REACHED")
else:
    os.kill(os.getpid(), signal.SIGSTOP)
