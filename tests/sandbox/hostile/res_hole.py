# Makes a file of a terabyte that takes no room.
# inside: exited signalled
# outside: scratch
with open("hole", "wb") as f:
    f.truncate(1 << 40)
print("REACHED")
