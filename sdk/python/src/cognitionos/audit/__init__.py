"""What the entries of a log must say of one another.

Hashes and signatures show that nobody changed a log after it was signed. The audit shows
that whoever signed it kept the rules.
"""

from .log import Audit, KeyInForce

__all__ = ["Audit", "KeyInForce"]
