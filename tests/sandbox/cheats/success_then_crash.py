# Is right once, then crashes.
# plain: no
import os, signal
calls = 0
def square_all(numbers):
    global calls
    calls += 1
    if calls > 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    return [n * n for n in numbers]
