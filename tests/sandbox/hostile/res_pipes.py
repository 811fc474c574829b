# Fills pipes, memory that no process owns. Outside 40.
# inside: exited
# outside: yes
import os
have = [os.pipe() for i in range(40)]
print("REACHED")
