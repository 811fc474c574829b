# Changes the arguments instead of answering, to change the expected value with them.
# plain: no
def square_all(numbers):
    numbers[:] = [0] * len(numbers)
    return numbers
