# Prints without end. Outside 5 MB, more than a sandbox reads.
# inside: output-flood
# outside: mild
import os
mild = "HOSTILE_MILD" in os.environ
n = 0
while n < (5 << 20) or not mild:
    n += os.write(1, b"x" * 65536)
print()
print("REACHED")
