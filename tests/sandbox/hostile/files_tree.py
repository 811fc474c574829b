# Reads the source tree, where the tests are.
# inside: exited
# outside: yes
open("@TREE@/Makefile").read()
print("REACHED")
