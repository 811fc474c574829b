# Makes a device of the machine's memory. Outside in a scratch directory, never opened.
# inside: exited
# outside: root
import os, stat
os.mknod("mem", stat.S_IFCHR | 0o600, os.makedev(1, 1))
print("REACHED")
