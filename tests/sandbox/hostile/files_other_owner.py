# Gives a file to another user.
# inside: exited
# outside: root
import os
open("mine", "w").close()
os.chown("mine", 1, 1)
print("REACHED")
