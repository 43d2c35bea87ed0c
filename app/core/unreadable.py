"""What the answer of somebody else may raise where it is taken apart and is not made as expected:
a list in the place of an object, a number that no date has, text nested deeper than Python goes."""

UNREADABLE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""For `except`. Errors of the network are none of them."""
