# Lowers and raises the recursion limit to break whoever comes back.
# plain: no
import sys
def square_all(numbers):
    sys.setrecursionlimit(50)
    def deep(n): return deep(n + 1)
    return deep(0)
