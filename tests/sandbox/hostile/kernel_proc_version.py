# Reads the kernel's version and command line in /proc.
# inside: exited
# outside: yes
open("/proc/version").read(), open("/proc/cmdline").read()
print("REACHED")
