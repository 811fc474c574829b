# Goes out through a symbolic link.
# inside: exited
# outside: yes
import os
os.symlink("@SCRATCH@/secret", "way")
open("way").read()
print("REACHED")
