# Changes what the kernel does with a crash. Outside opened only.
# inside: exited
# outside: root
import os
os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
print("REACHED")
