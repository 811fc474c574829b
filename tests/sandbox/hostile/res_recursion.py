# Recurses until the stack ends.
# inside: signalled exited oom timeout
# outside: never
import sys
sys.setrecursionlimit(1 << 30)
def f(x):
    return f([x])
f(0)
