# Reserves 100 GB at once.
# inside: exited
# outside: yes
import mmap
mmap.mmap(-1, 100 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
print("REACHED")
