# Writes one large file. Outside 20 MB in a scratch directory.
# inside: exited signalled
# outside: scratch
with open("fill", "wb") as f:
    f.write(b"x" * (20 << 20))
print("REACHED")
