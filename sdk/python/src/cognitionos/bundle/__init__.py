"""A log, or the kept end of one, as one file that an outsider checks offline."""

from .check import Verified, verify_bundle
from .head import read_head
from .lines import CanonFiles, Manifest

__all__ = ["CanonFiles", "Manifest", "Verified", "read_head", "verify_bundle"]
