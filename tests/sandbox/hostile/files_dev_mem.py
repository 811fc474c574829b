# Opens the machine's memory. Outside: kernels without /dev/mem are common.
# inside: exited
# outside: maybe
open("/dev/mem", "rb").read(16)
print("REACHED")
