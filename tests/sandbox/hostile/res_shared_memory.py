# Fills memory that belongs to no process's heap. Never outside.
# inside: exited signalled oom
# outside: never
import mmap
have = []
for i in range(400):
    m = mmap.mmap(-1, 1 << 20)
    m.write(b"x" * (1 << 20))
    have.append(m)
print("REACHED")
