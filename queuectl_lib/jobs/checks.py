"""What a job can be given, checked: command, directory, environment, key. Each raises BadInput."""

from __future__ import annotations

import json
import os
import re

from queuectl_lib import errors, values
from queuectl_lib.errors import BadInput
from queuectl_lib.host import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Optional, Sequence, Tuple

KEY_LENGTH = 200
# What a worker tells each job (run/launching); QUEUECTL_HOME may be another one for a job.
SET_BY_US = (
    *("QUEUECTL_JOB_ID", "QUEUECTL_ATTEMPT", "QUEUECTL_MAX_RETRIES", "QUEUECTL_TOKEN", "QUEUECTL_QUEUE"),
    *("QUEUECTL_TAGS", "QUEUECTL_SCHEDULE", "QUEUECTL_SCHEDULED_AT"),
    *("QUEUECTL_CONTROL", "QUEUECTL_SNOOZES"),
)


def check_command(value: object) -> Tuple[str, int]:
    """A command as stored, and whether it is a list of arguments."""
    if isinstance(value, list):
        if not value or not value[0]:
            raise BadInput("command: the list names no program")
        words = [values.check_text(word, "command") for word in value]
        sizes = [values.utf8_bytes(word) + 9 for word in words]  # the system counts a pointer and a NUL for each
        if max(sizes) > system.COMMAND_BYTES or sum(sizes) > system.ARGUMENTS_BYTES:
            raise BadInput("command: the arguments are too long for this system: put them into a file")
        return json.dumps(words, ensure_ascii=False), 1
    if value is None:
        raise BadInput("command is missing")
    text = values.check_text(value, "command")
    if not text or text.isspace():
        raise BadInput("command is empty")
    if len(text) * 4 > system.COMMAND_BYTES and values.utf8_bytes(text) > system.COMMAND_BYTES:
        raise BadInput("command is longer than %d bytes: put it into a script file" % system.COMMAND_BYTES)
    return text, 0


def check_key(value: object, name: str = "unique") -> str:
    """*value* when it can be the key that only one waiting or running job has."""
    return text_up_to(KEY_LENGTH, name)(value)


NAME = r"[A-Za-z0-9._:@/-]{1,64}\Z"


def check_name(value: object) -> str:
    """*value* when it can be the name of a kind of jobs."""
    if isinstance(value, str) and re.match(NAME, value):
        return value
    raise BadInput("name: %s is not one: up to 64 letters, digits and . _ : @ / -" % errors.shown(value))


QUEUE = r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,63}\Z"


def check_queue(value: object) -> str:
    """*value* when it can be the name of a queue."""
    if isinstance(value, str) and re.match(QUEUE, value):
        return value
    message = "queue: %s is not a name: up to 64 letters, digits and _ . : @ + -, the first a letter, digit or _"
    raise BadInput(message % errors.shown(value))


def text_up_to(most: int, name: str) -> Callable[[object], str]:
    """The check of a text, not empty, of up to *most* characters, which messages call *name*."""

    def check(value: object) -> str:
        text = values.check_text(value, name)
        if not text:
            raise BadInput("%s is empty" % name)
        if len(text) > most:
            raise BadInput("%s: %s is longer than %d characters" % (name, errors.shown(text), most))
        return text

    return check


def check_flag(name: str) -> Callable[[object], Optional[int]]:
    """The check of a truth value, which messages call *name*: 1, or None for what is not wanted."""

    def check(value: object) -> Optional[int]:
        if not isinstance(value, bool):
            raise BadInput("%s: true or false is expected" % name)
        return 1 if value else None

    return check


def check_tags(value: object) -> Optional[str]:
    """The tags of a job as its row has them; None for none."""
    from queuectl_lib.jobs import beside  # which few jobs need

    return " ".join(beside.check_tags(value)) or None


def check_directory(value: object, base: str) -> str:
    """An absolute directory; a relative one starts from where the job is enqueued, ~ is the home of who does that."""
    text = values.check_text(value, "cwd")
    if not text:
        raise BadInput("cwd is empty")
    if values.utf8_bytes(text) > 4096:
        raise BadInput("cwd is longer than 4096 bytes")
    if text == "~" or text.startswith(("~/", "~" + os.sep)):
        text = os.path.expanduser(text)
        if text.startswith("~"):
            raise BadInput("cwd: %s: your home directory is not known here: write the path" % errors.shown(text))
    if os.pardir in text.split(os.sep):  # as `ls ..` has it: what *base* is by way of links does not count
        base = os.path.realpath(base)
    return os.path.normpath(os.path.join(base, text))


def check_umask(value: object) -> int:
    """A umask, given as chmod takes it: in octal digits."""
    if isinstance(value, str) and re.match(r"[0-7]{1,4}\Z", value) and int(value, 8) <= 0o777:
        return int(value, 8)
    raise BadInput("umask: %s is not one in octal digits, such as 022 or 0077 (text in JSON)" % errors.shown(value))


def check_env(value: object) -> Optional[str]:
    """Environment variables as stored. No message ever holds a value."""
    if not isinstance(value, dict):
        raise BadInput("env is not an object of names and values")
    size = 0
    for name, text in value.items():
        if not name or "=" in name:
            raise BadInput("env: %s... is not the name of a variable" % errors.shown(name.partition("=")[0]))
        values.check_text(name, "env")
        if name in SET_BY_US:
            raise BadInput("env: %s is what queuectl itself tells a job: choose another name" % name)
        if not isinstance(text, str):
            raise BadInput("env: the value of %s is not text" % errors.shown(name))
        try:
            one = values.utf8_bytes(name) + values.utf8_bytes(text) + 10
        except UnicodeEncodeError:
            raise BadInput("env: the value of %s is not valid UTF-8" % errors.shown(name)) from None
        if "\0" in text:
            raise BadInput("env: the value of %s holds a NUL character" % errors.shown(name))
        size += one
        if one > system.COMMAND_BYTES or size > system.ARGUMENTS_BYTES:
            raise BadInput("env: the value of %s is too long for this system" % errors.shown(name))
    return json.dumps(value, ensure_ascii=False) if value else None


def check_handed_on(text: str, env: object) -> None:
    """Raise BadInput where no shell here would hand a variable in *env*, checked before, on to what *text* starts."""
    odd = [name for name in env if not (name.isidentifier() and name.isascii())] if isinstance(env, dict) else []
    if not odd or system.WINDOWS:
        return
    from queuectl_lib.host import shells  # needed only here, in an enqueue
    from queuectl_lib.jobs import command_text

    has_bash = shells.bash() and not shells.OPTIONS_OF_BASH & set(env if isinstance(env, dict) else ())
    if not (shells.hands_on("/bin/sh") or has_bash or command_text.is_one_program(text)):
        raise BadInput(
            "env: /bin/sh does not hand %s on to what a text starts: give the command as a list, or as one program"
            % errors.shown(odd[0])
        )


def variables_from_text(pairs: Sequence[str]) -> Dict[str, str]:
    """--env NAME=VALUE as a dict; a message never holds the value."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise BadInput("--env: NAME=VALUE is expected")
        found[name] = value
    return found
