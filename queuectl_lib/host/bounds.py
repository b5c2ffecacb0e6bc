"""What the system lets a process of ours be bound to: limits (setrlimit), and how far it is behind others (nice)."""

from __future__ import annotations

import os
import sys


def bound(name: str, value: int) -> int:
    """The hard limit to be set with *value*. Raises ValueError where that cannot be.

    Above our own it is tried, on ourselves for a moment. With the hard limit of CPU comes SIGKILL: one second later, so
    that it is SIGXCPU which tells why.
    """
    if sys.platform == "win32":
        raise ValueError("limits cannot be set on Windows")
    import resource  # which few jobs need

    number = getattr(resource, "RLIMIT_" + name.upper(), None)
    if number is None:
        raise ValueError("the limit %s is not known to this system" % name)
    soft, hard = resource.getrlimit(number)
    if hard == resource.RLIM_INFINITY or value < hard:
        return value + 1 if name == "cpu" else value
    try:
        resource.setrlimit(number, (soft, value))
        resource.setrlimit(number, (soft, hard))
    except (OSError, ValueError):
        text = "the limit %s=%d is above the hard limit of its worker, %d"
        raise ValueError(text % (name, value, hard)) from None
    return value


def may_go_ahead(nice: int) -> bool:
    """True where we may run before others: tried on ourselves for a moment, for going back is always allowed."""
    if sys.platform == "win32":
        return True
    own = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, own + nice)
        os.setpriority(os.PRIO_PROCESS, 0, own)
    except OSError:
        return False
    return True
