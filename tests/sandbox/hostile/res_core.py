# Leaves a core file of all its memory.
# inside: exited
# outside: maybe
import resource
if resource.getrlimit(resource.RLIMIT_CORE)[1] != 0:
    print("REACHED")
