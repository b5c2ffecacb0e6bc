"""The digest SHA-256 without OpenSSL, which hashlib loads: 3.7 MB in each worker that has ever seen a failure."""

from __future__ import annotations


def sha256(data: bytes) -> str:
    """The SHA-256 of *data*, as hex digits."""
    try:
        from _sha2 import sha256 as digest  # type: ignore[import-not-found] # Python 3.12 and later
    except ImportError:
        try:
            from _sha256 import sha256 as digest  # type: ignore[import-not-found]
        except ImportError:
            from hashlib import sha256 as digest  # of a Python that was built without either
    return str(digest(data).hexdigest())
