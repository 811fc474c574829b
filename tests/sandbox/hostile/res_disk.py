# Fills the disk. Outside 90 MB in a scratch directory, more than a sandbox holds.
# inside: exited signalled
# outside: scratch
for i in range(9):
    with open("fill%d" % i, "wb") as f:
        f.write(b"x" * (10 << 20))
print("REACHED")
