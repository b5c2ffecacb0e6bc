"""What a job passes on when it calls queuectl: which home was its worker's, and what its own variables replaced."""

from __future__ import annotations

import json
import os

from queuectl_lib.host import bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Mapping

BEFORE = "QUEUECTL_ENV_BEFORE"  # JSON: by name, what the worker had (or null) and a sum of what the job was given
PRIME = (1 << 61) - 1
MOST_CHARACTERS = 100000  # Linux takes no variable of 128 KiB


def note_home(home: str) -> None:
    """Have the jobs of this supervisor know their home: as the person's own word, or as set for this program alone."""
    named = os.environ.get("QUEUECTL_HOME")
    if named and os.path.abspath(named) == os.path.abspath(home) and not bundle.home_was_set():
        for name in bundle.SET_BY_WORKER:
            os.environ.pop(name, None)
    else:
        os.environ.update(zip(bundle.SET_BY_WORKER, (home, bundle.SCRIPT)))
    os.environ["QUEUECTL_HOME"] = home


def homes() -> Dict[str, str]:
    """The variables that tell a job which home is its worker's."""
    names = ("QUEUECTL_HOME",) + bundle.SET_BY_WORKER
    return {name: os.environ[name] for name in names if name in os.environ}


def persons_home() -> Dict[str, str]:
    """The variable by which a person named the home, for a supervisor in the background; {} where none did."""
    return {} if bundle.home_was_set() else homes()


def replaced(own: Mapping[str, str], before: Mapping[str, str]) -> Dict[str, str]:
    """The variable that tells what a job's *own* variables replaced, {} where there are none."""
    if not own:
        return {}
    text = json.dumps({name: [before.get(name), sum_of(value)] for name, value in own.items()})
    return {BEFORE: text} if len(text) < MOST_CHARACTERS else {}


def undone(environment: Mapping[str, str]) -> Dict[str, str]:
    """An *environment* without what `--env` of the job gave that it comes from; what the job set itself since stays."""
    result = dict(environment)
    try:
        changes = json.loads(result.pop(BEFORE, "{}"))
        for name, (value, given) in changes.items():
            if sum_of(result.get(name, "")) == given and (value is None or isinstance(value, str)):
                result.pop(name, None)
                result.update({} if value is None else {name: value})
    except (ValueError, TypeError, AttributeError):
        pass  # not written by us
    return result


def sum_of(value: str) -> int:
    """A number that another value is very unlikely to have: a remainder, for which nothing need be loaded."""
    return int.from_bytes(os.fsencode(value), "little") % PRIME
