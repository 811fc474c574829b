# Calls chroot, the first step of known ways out.
# inside: exited
# outside: root
import os
os.chroot("/tmp")
print("REACHED")
