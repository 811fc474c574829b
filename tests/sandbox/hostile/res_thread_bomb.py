# Starts threads for ever. Outside 200.
# inside: exited signalled timeout oom
# outside: mild
import os
mild = "HOSTILE_MILD" in os.environ
import threading, time
for i in range(200):
    threading.Thread(target=time.sleep, args=(3 if mild else 20,), daemon=True).start()
print("REACHED", flush=True)
os._exit(0)
