# The real one: every child forks too. Never outside.
# inside: exited signalled timeout oom
# outside: never
# wall: 2
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
