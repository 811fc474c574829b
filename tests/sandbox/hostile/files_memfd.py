# Makes a file that no limit on /tmp counts.
# inside: exited
# outside: yes
import os
os.memfd_create("hidden")
print("REACHED")
