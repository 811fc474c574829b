# Forks for ever. Outside 100 sleeping children, more than a sandbox allows, then it ends them.
# inside: exited signalled timeout oom
# outside: mild
# wall: 2
import os
mild = "HOSTILE_MILD" in os.environ
import time, signal
children = []
if mild:
    for _ in range(100):
        child = os.fork()
        if child == 0:
            time.sleep(20)
            os._exit(0)
        children.append(child)
    for c in children:
        os.kill(c, signal.SIGKILL)
    print("REACHED")
else:
    n = 0
    while n < 100:
        try:
            if os.fork() == 0:
                time.sleep(20)
            n += 1
        except OSError:
            while True:
                pass
    print("REACHED")
