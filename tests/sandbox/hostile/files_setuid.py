# Becomes root.
# inside: exited
# outside: root
import os
os.setuid(0)
print("REACHED")
