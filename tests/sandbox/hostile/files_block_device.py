# Makes a block device. Outside in a scratch directory, never opened.
# inside: exited
# outside: root
import os, stat
os.mknod("disk", stat.S_IFBLK | 0o600, os.makedev(8, 0))
print("REACHED")
