# Runs a program that has no name.
# inside: exited
# outside: yes
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open("/usr/bin/true", os.O_RDONLY)
if os.fork() == 0:
    argv = (ctypes.c_char_p * 2)(b"true", None)
    libc.syscall(322 if os.uname().machine == "x86_64" else 281, fd, b"", argv, None, 0x1000)
    os._exit(1)
if os.wait()[1] == 0:
    print("REACHED")
