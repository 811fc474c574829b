# Kills the process that started it. Outside its own child does that to a child.
# inside: signalled
# outside: mild
import os
mild = "HOSTILE_MILD" in os.environ
import signal, time
if mild:
    middle = os.fork()
    if middle == 0:
        if os.fork() == 0:
            os.kill(os.getppid(), signal.SIGKILL)
            os._exit(0)
        time.sleep(5)
    if os.WIFSIGNALED(os.waitpid(middle, 0)[1]):
        print("REACHED")
else:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(0.3)
    print("REACHED")
