"""The errors that a user can mend."""


class CapstoneError(Exception):
    """A fault outside the code: its message names what is wrong and what to do, so no traceback is shown."""


class InvalidValue(CapstoneError, ValueError):
    """A value, given by name, that cannot be used: the message names it and what would be right."""
