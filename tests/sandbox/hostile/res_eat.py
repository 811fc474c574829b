# Fills memory until there is none. Outside 100 MB more than it is allowed inside.
# inside: exited signalled oom
# outside: mild
import os
mild = "HOSTILE_MILD" in os.environ
have = []
for i in range(356 if mild else 100000):
    have.append(bytearray(b"x" * (1 << 20)))
    if i >= 300:
        print("REACHED")
        break
