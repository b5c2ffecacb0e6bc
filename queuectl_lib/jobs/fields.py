"""What a job can be told, checked, from words or JSON to a row of the database."""

from __future__ import annotations

import json
import os

from queuectl_lib import errors, times, values
from queuectl_lib.errors import BadInput
from queuectl_lib.host import system
from queuectl_lib.jobs import ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Sequence, Tuple

JOB_KEYS = ("id", "command", "max_retries", "priority", "run_at", "delay", "timeout", "cwd", "env", "unique")
OWN_KEYS = frozenset(
    (
        "state",
        "attempts",
        "next_run_at",
        "created_at",
        "updated_at",
        "started_at",
        "finished_at",
        "exit_code",
        "last_error",
        "worker",
        "umask",
        "history",
    )
)
KNOWN_KEYS = OWN_KEYS | frozenset(JOB_KEYS)
COMMON_KEYS = frozenset(("id", "command", "max_retries", "priority", "unique"))  # SHARED_COLUMNS stay as they are
KEY_LENGTH = 200

OWN_COLUMNS = "id, command, is_list, max_retries, priority, unique_key"
SHARED_COLUMNS = "run_at, next_run_at, lane, timeout, cwd, env, umask, created_at, updated_at"
INSERT_COLUMNS = OWN_COLUMNS + ", " + SHARED_COLUMNS
OWN, SHARED = (names.count(",") + 1 for names in (OWN_COLUMNS, SHARED_COLUMNS))
KEY = OWN - 1  # where unique_key stands in a row


class JobMaker:
    """Turns what a person or program asks for into rows for the jobs table.

    Holds what the jobs of one call share: settings, directory, umask, time.
    """

    def __init__(self, max_retries: int, cwd: str, umask: Optional[int], now: float) -> None:
        self.max_retries = max_retries
        self.cwd = cwd
        self.umask = umask
        self.now = now
        self.now_text = times.utc_text(now)
        self.shared = self._shared(None, None, None, None, None)  # of jobs that say nothing of these

    def row(self, fields: object) -> Tuple[Any, ...]:
        """Check *fields* (JSON keys to values) and return the values of INSERT_COLUMNS.

        Raises BadInput that names the field, never a partial result.
        """
        if not isinstance(fields, dict):
            kind = {list: "a list", str: "text", type(None): "null"}.get(type(fields), "a number or a truth value")
            raise BadInput('a job is an object such as {"command": "true"}, not %s' % kind)
        keys, get = fields.keys(), fields.get
        if keys <= COMMON_KEYS:
            shared = self.shared
        elif keys <= KNOWN_KEYS:
            shared = self._shared(get("run_at"), get("delay"), get("timeout"), get("cwd"), get("env"))
        else:
            raise errors.unknown_name("key", sorted(set(fields) - KNOWN_KEYS)[0], JOB_KEYS)
        command, is_list = check_command(get("command"))
        identifier, max_retries, priority, key = get("id"), get("max_retries"), get("priority"), get("unique")
        return (
            ids.make_id(self.now) if identifier is None else ids.check_id(identifier),
            command,
            is_list,
            self.max_retries if max_retries is None else values.check_integer(max_retries, "max_retries", 0, 1000000),
            0 if priority is None else values.check_integer(priority, "priority", -1000000000, 1000000000),
            None if key is None else check_key(key),
        ) + shared

    def _shared(self, run_at: object, delay: object, timeout: object, cwd: object, env: object) -> Tuple[Any, ...]:
        """The values of SHARED_COLUMNS, which are the same for most jobs of a call."""
        return self._times(run_at, delay) + (
            None if timeout is None else check_timeout(timeout),
            self.cwd if cwd is None else check_directory(cwd, self.cwd),
            None if env is None else check_env(env),
            self.umask,
            self.now_text,
            self.now_text,
        )

    def _times(self, run_at: object, delay: object) -> Tuple[Optional[str], str, int]:
        """run_at as stored, when it is due, and the lane (0 due, 1 later)."""
        if run_at is None and delay is None:
            return None, self.now_text, 0
        if run_at is not None and delay is not None:
            raise BadInput("run_at and delay contradict each other: give one of them")
        due = times.parse_time(run_at) if delay is None else self.now + times.parse_duration(delay, "delay")
        if due > times.LAST_TIME:
            raise BadInput("delay: %s is after the year 9999" % errors.shown(delay))
        return times.utc_text(due), times.utc_text(due), int(due > self.now)


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
    text = values.check_text(value, name)
    if not text:
        raise BadInput("%s is empty" % name)
    if len(text) > KEY_LENGTH:
        raise BadInput("%s: %s is longer than %d characters" % (name, errors.shown(text), KEY_LENGTH))
    return text


def check_timeout(value: object) -> float:
    seconds = times.parse_duration(value, "timeout")
    if seconds == 0:
        raise BadInput("timeout: 0 would end every attempt at once: leave it out for no limit")
    return seconds


def check_directory(value: object, base: str) -> str:
    """An absolute directory; a relative one starts from where the job is enqueued."""
    text = values.check_text(value, "cwd")
    if not text:
        raise BadInput("cwd is empty")
    if values.utf8_bytes(text) > 4096:
        raise BadInput("cwd is longer than 4096 bytes")
    return os.path.normpath(os.path.join(base, text))


def check_env(value: object) -> Optional[str]:
    """Environment variables as stored. No message ever holds a value."""
    if not isinstance(value, dict):
        raise BadInput("env is not an object of names and values")
    size = 0
    for name, text in value.items():
        if not name or "=" in name:
            raise BadInput("env: %s... is not the name of a variable" % errors.shown(name.partition("=")[0]))
        values.check_text(name, "env")
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


def variables_from_text(pairs: Sequence[str]) -> Dict[str, str]:
    """--env NAME=VALUE as a dict; a message never holds the value."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise BadInput("--env: NAME=VALUE is expected")
        found[name] = value
    return found
