"""The digest SHA-256 without OpenSSL, which hashlib loads: 3.7 MB in each worker that has ever seen a failure."""

from __future__ import annotations

import functools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@functools.lru_cache(maxsize=None)
def maker() -> Any:
    """What makes one. Python looks for a module that it has not found anew each time, which is dear."""
    try:
        from _sha2 import sha256 as digest  # type: ignore[import-not-found] # Python 3.12 and later
    except ImportError:
        try:
            from _sha256 import sha256 as digest  # type: ignore[import-not-found]
        except ImportError:
            from hashlib import sha256 as digest  # of a Python that was built without either
    return digest


def sha256(data: bytes) -> str:
    """The SHA-256 of *data*, as hex digits."""
    return str(maker()(data).hexdigest())
