"""The two ways in which something is not accepted."""


class Refused(ValueError):
    """Bytes, a signature or a proof that do not hold. The text says why."""


class BadInput(Exception):
    """Something that cannot be checked at all: no bundle, no key, no checkpoint."""
