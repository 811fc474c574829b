# Writes errors without end. Outside 5 MB.
# inside: output-flood
# outside: mild
import os
mild = "HOSTILE_MILD" in os.environ
n = 0
while n < (5 << 20) or not mild:
    n += os.write(2, b"x\n" * 32768)
print("REACHED")
