"""What a job, or a queue, asks of launchers: the name of one, and words that it is given; checked, and as text."""

from __future__ import annotations

import shlex

from queuectl_lib import errors, values
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import launchers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional

    from queuectl_lib.values import Fields


def check_chosen(value: object, key: str) -> str:
    """The name of a launcher, or none. Raises BadInput; whether it is there is not asked."""
    return launchers.NONE if value == launchers.NONE else launchers.check_name(value, key)


def check_args(value: object, key: str) -> Optional[List[str]]:
    """What a launcher is given with a job, a list of words; None for nothing. Raises BadInput."""
    if not isinstance(value, list):
        raise BadInput('%s: a list of words such as ["--mem=4G", "-c2"] is expected' % key)
    words = [values.check_text(word, key) for word in value]
    if sum(values.utf8_bytes(word) + 1 for word in words) > launchers.LONGEST:
        raise BadInput("%s: longer than %d bytes" % (key, launchers.LONGEST))
    return words or None


def args_of(text: str, key: str) -> List[str]:
    """What a command line says: words as a shell has them. Raises BadInput."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise BadInput("%s: %s: %s" % (key, errors.shown(text), str(error).lower())) from None


def args_text(words: object) -> str:
    """The same as one would type them."""
    return " ".join(map(shlex.quote, words)) if isinstance(words, list) else str(words)


def refuse_job(get: Callable[[str], object], there: Fields, there_is_one: Callable[[], bool]) -> None:
    """Raise BadInput where what a job asks for, by *get*, cannot be had of those that are *there* on this host.

    *there_is_one* tells whether one that names none has one, of its queue or of the settings.
    """
    name, command = get("launcher"), get("command")
    if name not in (None, launchers.NONE):
        launchers.refuse_unknown(str(name), there, "launcher")
        if isinstance(command, str) and command[:2] == "#!":
            raise BadInput("launcher: a text that begins with #! is a file here, not there: name a script of yours")
    elif get("launcher_args") and (name == launchers.NONE or not there_is_one()):
        raise BadInput("launcher_args: the job has no launcher to be given them: name one, too (--launcher NAME)")
