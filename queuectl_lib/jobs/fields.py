"""The fields of a job: one table that says of each, once, what there is to say; and from words or JSON to a row.

A new field is a row of FIELDS and a column in store/schema. With an option and a check it is taken
by `add` and in JSON, stored, shown and fed back; what a claim reads of it stands in jobs/attempts.
Those of BY_HAND are made in JobMaker, for an enqueue of a million jobs or since they depend on the call.
"""

from __future__ import annotations

import json

from queuectl_lib import errors, times, values
from queuectl_lib.errors import BadInput
from queuectl_lib.host import system
from queuectl_lib.jobs import checks, ids, states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, Tuple


class Field:
    """One field of a job, by its key in JSON; see FIELDS for what the rest is."""

    def __init__(
        self,
        key: str,
        column: str = "",
        option: Any = None,
        words: Optional[Callable[[Any], object]] = None,
        check: Optional[Callable[[object], object]] = None,
        read: Optional[Callable[[Any], object]] = None,
        shown: Callable[[Any], str] = str,
        heading: str = "",
        flag: str = "",
    ) -> None:
        self.key = key
        self.column = column
        self.option = option
        self.flag = "--" + (flag or key.replace("_", "-"))
        self.words = words
        self.check = check
        self.read = read
        self.shown = shown
        self.heading = heading


def whole(key: str) -> Callable[[str], int]:
    """The words of the option for *key* as a whole number."""
    return lambda text: values.whole_number(text, key)


# In the order of `show` and JSON. key; column: where it is kept, as it is called there. option: of `add`, as argparse
# takes it (without one queuectl sets the field itself: it is accepted in input, and ignored); words: what its text
# means, where that is not the text. check: what is stored of a JSON value. read: the JSON value of what is stored.
# shown: the text of a JSON value for people. heading: of its column in `list`, where a job shown there has it. flag:
# the name of the option, where it is not the key. (What is shown and stands in no column is told by store/showing.)
FIELDS = (
    Field("id", "id", {"help": "the job's id (default: a new one)"}),
    Field("command", "command", {}, shown=system.typed),
    Field("state", "state"),
    Field("attempts", "attempts"),
    Field(
        *("max_retries", "max_retries", {"metavar": "N", "help": "retries after the first attempt"}),
        words=whole("max_retries"),
    ),
    Field("priority", "priority", {"metavar": "N", "help": "higher runs first (default 0)"}, words=whole("priority")),
    Field(
        *("run_at", "run_at"),
        {"metavar": "TIME", "help": "not before this ISO 8601 time (local unless it ends in Z or an offset)"},
    ),
    Field("delay", "", {"metavar": "DURATION", "help": "not before this long from now: 90, 90s, 10m, 1h30m"}),
    Field("next_run_at", "next_run_at"),
    Field(
        *("timeout", "timeout", {"metavar": "DURATION", "help": "end an attempt that runs longer"}),
        check=times.check_timeout,
        shown=lambda seconds: values.number_text(seconds) + " s",
    ),
    Field("cwd", "cwd", {"metavar": "DIR", "help": "run in this directory (default: the current one)"}),
    Field(
        *("env", "env"),
        {"metavar": "NAME=VALUE", "action": "append", "help": "set a variable for the job (repeatable)"},
        words=checks.variables_from_text,
        check=checks.check_env,
        read=lambda text: json.loads(text) if text else {},
        shown=lambda env: ", ".join(sorted(env)) + " (values not shown)" if env else "-",  # the values are secrets
    ),
    Field(
        *(
            "umask",
            "umask",
            {"metavar": "MODE", "help": "which permissions its files lack: 022, 0077 (default: yours)"},
        ),
        read=lambda umask: None if umask is None else "%04o" % umask,
    ),
    Field(
        *("unique", "unique_key"),
        {"metavar": "KEY", "help": "add nothing while another job with this key waits or runs"},
    ),
    Field("queue", "queue", {"metavar": "NAME", "help": "the queue that it waits in (default: default)"}),
    Field(
        *("lock", "lock_key", {"metavar": "KEY", "help": "run only while no other job with this lock runs"}),
        check=lambda value: checks.check_key(value, "lock"),
    ),
    Field(
        *("hold", "held_at"),
        {"action": "store_true", "default": None, "help": "wait until a person releases it"},
        read=lambda since: since is not None,
        shown=lambda held: "yes" if held else "no",
    ),
    Field(
        *("tags", "tags"),
        {"metavar": "TAG", "action": "append", "help": "a word to find it by (repeatable)"},
        check=checks.check_tags,
        read=lambda text: sorted(text.split()) if text else [],
        shown=lambda tags: ", ".join(tags) or "-",
        heading="TAGS",
        flag="tag",
    ),
    *[
        Field(
            *(key, "", {"metavar": "ID[,ID]", "action": "append", "help": text}),
            words=lambda texts: ",".join(texts).split(","),
            read=lambda text: text.split() if text else [],
            shown=lambda parents: ", ".join(parents) or "-",
        )
        for key, text in (
            ("after", "wait until these jobs have completed; cancelled where one cannot"),
            ("after_any", "wait until these jobs have ended, however"),
            ("after_fail", "run only if all of these end dead"),
        )
    ],
    Field("depended_on", shown=lambda found: ", ".join("%(id)s (%(outcome)s: %(state)s)" % it for it in found) or "-"),
    Field(
        *("pipe_output", "pipe_output"),
        {
            "action": "store_true",
            "default": None,
            "help": "collect output through pipes, for a program that opens it by name (/dev/stderr) and so erases it",
        },
        check=checks.check_flag("pipe_output"),
        read=lambda kept: bool(kept),
        shown=lambda piped: "yes" if piped else "no",
    ),
    Field("schedule", "schedule"),
    Field("scheduled_at", "slot"),
    Field("created_at", "created_at"),
    Field("updated_at", "updated_at"),
    Field("started_at", "started_at"),
    Field("finished_at", "finished_at"),
    Field("exit_code", "exit_code"),
    Field("last_error", "last_error"),
    Field("reason", "reason", read=lambda text: json.loads(text) if text else None, shown=json.dumps),
    Field("worker", "worker"),
    Field("history"),
)
JOB_KEYS = tuple(field.key for field in FIELDS if field.option is not None)
KNOWN_KEYS = frozenset(field.key for field in FIELDS)
COMMON_KEYS = frozenset(("id", "command", "max_retries", "priority", "unique"))  # SHARED_COLUMNS stay as they are
BY_HAND = (
    *("id", "command", "max_retries", "priority", "unique", "run_at", "delay", "cwd", "umask"),
    *("queue", "hold", "after", "after_any", "after_fail"),
)
CHECKED = tuple((field.key, field.check) for field in FIELDS if field.check)

OWN_COLUMNS = "id, command, is_list, max_retries, priority, unique_key"
SHARED_COLUMNS = "run_at, next_run_at, lane, held_at, %s, cwd, umask, created_at, updated_at, queue" % ", ".join(
    field.column for field in FIELDS if field.check
)
INSERT_COLUMNS = OWN_COLUMNS + ", " + SHARED_COLUMNS
OWN, SHARED = (names.count(",") + 1 for names in (OWN_COLUMNS, SHARED_COLUMNS))
KEY = OWN - 1  # where unique_key stands in a row
BESIDE = OWN + SHARED  # where what other tables are to hold of the job stands (store/beside), the last of a row
QUEUE = BESIDE - 1
READ = tuple((field.key, field.read) for field in FIELDS if field.read)


NEW = (None,) + states.WAITING


def shown(show: Callable[[Any], str], value: Any) -> str:
    """*value* for people; as it stands where it is not what *show* expects: changed by hand, or damaged."""
    try:
        return str(show(value))
    except (TypeError, ValueError, AttributeError, OverflowError):
        return str(value)


class NotNew(BadInput):
    """A job that says of itself that it ran, or runs now."""


def not_new(state: object, identifier: object) -> BadInput:
    """The refusal of a job for the *state* that it says it is in."""
    if state not in states.STATES:
        return errors.unknown_name("state", state, states.STATES)
    name = "the job" if identifier is None else "job " + ids.check_id(identifier)
    return NotNew("%s says that it is %s" % (name, state))


EDGE_KEYS = ("after", "after_any", "after_fail")
BESIDE_KEYS = ("tags",) + EDGE_KEYS  # of what other tables hold


def beside_row(get: Callable[[str], object]) -> Optional[str]:
    """What the job has beside its row, as JSON; None for nothing, as mostly. Raises BadInput."""
    if not [key for key in BESIDE_KEYS if get(key) is not None]:
        return None
    from queuectl_lib.jobs import beside

    return beside.of(get)


DEFAULT = "default"  # the queue of jobs that name none, 0


def only_default(name: object) -> int:
    """The number of the queue *name*, where there is no other. Raises BadInput."""
    raise errors.unknown_name("queue", name, [DEFAULT])


class JobMaker:
    """Turns what a person or program asks for into rows for the jobs table.

    Holds what the jobs of one call share: settings, directory, umask, time; and whether those that
    say of themselves that they are no longer new are taken all the same (*any_state*).
    """

    any_state = False

    def __init__(self, max_retries: int, cwd: str, umask: Optional[int], now: float) -> None:
        self.max_retries = max_retries
        self.cwd = cwd
        self.umask = umask
        self.now = now
        self.now_text = times.utc_text(now)
        self.queue_of: Callable[[object], object] = only_default  # the number of a queue by its name; or BadInput
        self.shared = self._shared(lambda key: None)  # of jobs that say nothing of these

    def row(self, fields: object) -> Tuple[Any, ...]:
        """Check *fields* (JSON keys to values) and return the values of INSERT_COLUMNS, and what stands beside them.

        Raises BadInput that names the field, never a partial result.
        """
        if not isinstance(fields, dict):
            kind = {list: "a list", str: "text", type(None): "null"}.get(type(fields), "a number or a truth value")
            raise BadInput('a job is an object such as {"command": "true"}, not %s' % kind)
        keys, get = fields.keys(), fields.get
        if keys <= COMMON_KEYS:
            shared = self.shared
        elif keys <= KNOWN_KEYS:
            if get("state") not in NEW and not self.any_state:
                raise not_new(get("state"), get("id"))
            shared = self._shared(get)
        else:
            raise errors.unknown_name("key", min(set(fields) - KNOWN_KEYS), JOB_KEYS)
        command, is_list = checks.check_command(get("command"))
        if shared is not self.shared and not is_list:
            checks.check_handed_on(command, get("env"))
        identifier, max_retries, priority, key = get("id"), get("max_retries"), get("priority"), get("unique")
        return (
            ids.make_id(self.now) if identifier is None else ids.check_id(identifier),
            command,
            is_list,
            self.max_retries if max_retries is None else values.check_integer(max_retries, "max_retries", 0, 1000000),
            0 if priority is None else values.check_integer(priority, "priority", -1000000000, 1000000000),
            None if key is None else checks.check_key(key),
        ) + shared

    def _shared(self, get: Callable[[str], object]) -> Tuple[Any, ...]:
        """The values of SHARED_COLUMNS, which are the same for most jobs of a call."""
        cwd, umask, queue = get("cwd"), get("umask"), get("queue")
        hold = get("hold")
        run_at, due, lane = self._times(get("run_at"), get("delay"))
        if [key for key in EDGE_KEYS if get(key)]:
            lane = 2  # until its parents are looked at (store/dependencies)
        held_at = self.now_text if hold is not None and checks.check_flag("hold")(hold) else None
        return (
            (run_at, due, 3 if held_at else lane, held_at)
            + tuple([None if get(key) is None else check(get(key)) for key, check in CHECKED])
            + (
                self.cwd if cwd is None else checks.check_directory(cwd, self.cwd),
                self.umask if umask is None else checks.check_umask(umask),
                self.now_text,
                self.now_text,
                0 if queue in (None, DEFAULT) else self.queue_of(queue),
                beside_row(get),
            )
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
