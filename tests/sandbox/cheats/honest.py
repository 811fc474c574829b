# The control: a solution that is right.
# plain: pass
def square_all(numbers):
    return [n * n for n in numbers]
