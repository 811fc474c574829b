# Fills memory by many processes, each of which takes little. Never outside.
# inside: exited signalled oom timeout
# outside: never
# wall: 8
import os, time
for i in range(40):
    if os.fork() == 0:
        have = bytearray(b"x" * (50 << 20))
        time.sleep(20)
time.sleep(5)
print("REACHED")
