# Reads the kernel's version and command line in /proc.
# inside: exited
# outside: yes
if (open("/proc/version").read() + open("/proc/cmdline").read()).strip():
    print("REACHED")
