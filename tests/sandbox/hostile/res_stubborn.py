# Ignores every signal it can, and sleeps. Outside half a second.
# inside: timeout
# outside: mild
# wall: 1
import os
mild = "HOSTILE_MILD" in os.environ
import signal, time
for s in range(1, 65):
    try:
        signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
time.sleep(0.5 if mild else 60)
print("REACHED")
