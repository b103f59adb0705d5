"""The base of every error that a user can mend."""


class CapstoneError(Exception):
    """A fault outside the code: its message names what is wrong and what to do, so no traceback is shown."""
