# Types into the terminal that started it (TIOCSTI). Outside: needs one, and a kernel that lets it.
# inside: exited
# outside: maybe
import fcntl
fcntl.ioctl(0, 0x5412, b"x")
print("REACHED")
