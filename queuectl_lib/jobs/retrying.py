"""What comes after an attempt that did not succeed, and when."""

from __future__ import annotations


def backoff_delay(base: float, attempt: int, cap: float) -> float:
    """Seconds to wait after attempt number *attempt* (from 1) failed: min(base ** attempt, cap).

    >>> [backoff_delay(2, n, 3600) for n in (1, 2, 3, 12, 5000)]
    [2.0, 4.0, 8.0, 3600.0, 3600.0]
    """
    try:
        return min(float(base) ** attempt, float(cap))
    except OverflowError:
        return float(cap)
