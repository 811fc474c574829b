# Raises its own limits.
# inside: exited
# outside: maybe
import resource
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard + 1, hard + 1))
print("REACHED")
