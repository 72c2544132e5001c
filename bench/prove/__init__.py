"""The claims of the README, shown with real processes and real traffic (`make prove`).

Each claim is a function that returns a sentence with its figures, or raises `DisprovedError`.
"""


class DisprovedError(Exception):
    """A claim does not hold; the message says what was seen."""
