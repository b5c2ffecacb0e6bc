"""The fields of a job: one table that says of each, once, what there is to say.

A new field is a row of FIELDS and a column in store/schema. With an option and a check it is taken
by `add` and in JSON, stored, shown and fed back; what a claim reads of it stands in jobs/attempts.
Those of BY_HAND are made in jobs/making, for an enqueue of a million jobs or since they depend on the call.
"""

from __future__ import annotations

import functools
import json

from queuectl_lib import times, values
from queuectl_lib.errors import BadInput
from queuectl_lib.host import system
from queuectl_lib.jobs import checks, policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional


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


def priority(text: str) -> int:
    """The same for the priority, which elsewhere is a word."""
    try:
        return values.whole_number(text, "priority")
    except BadInput as error:
        raise BadInput("%s: the higher one runs first, as `--priority 10`; usual is 0" % error) from None


# In the order of `show` and JSON. key; column: where it is kept, as it is called there. option: of `add`, as argparse
# takes it (without one queuectl sets the field itself: it is accepted in input, and ignored); words: what its text
# means, where that is not the text. check: what is stored of a JSON value. read: the JSON value of what is stored.
# shown: the text of a JSON value for people. heading: of its column in `list`, where a job shown there has it. flag:
# the name of the option, where it is not the key. (What is shown and stands in no column is told by store/showing.)
FIELDS = (
    Field("id", "id", {"help": "the job's id (default: a new one)"}),
    Field("command", "command", {}, shown=system.typed),
    Field(
        *("name", "name", {"metavar": "NAME", "help": "what kind of job this is, for `stats` and estimates"}),
        check=checks.check_name,
    ),
    Field("state", "state"),
    Field("attempts", "attempts"),
    Field(
        *("max_retries", "max_retries", {"metavar": "N", "help": "retries after the first attempt"}),
        words=whole("max_retries"),
    ),
    Field("priority", "priority", {"metavar": "N", "help": "higher runs first (default 0)"}, words=priority),
    Field(
        *("run_at", "run_at"),
        {"metavar": "TIME", "help": "not before: 22:00, tomorrow 06:00, mon 6am, +2h, 2027-12-01T10:00 (local time)"},
    ),
    Field("delay", "", {"metavar": "DURATION", "help": "not before this long from now: 90, 90s, 10m, 1h30m, 1w"}),
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
    *[
        Field(
            *(key, "policy", rule.option, rule.in_words(key)),
            read=functools.partial(policy.rule_of, key=key),
            shown=rule.shown,
        )
        for key, rule in policy.RULES.items()
    ],
    Field("schedule", "schedule"),
    Field("scheduled_at", "slot"),
    Field("created_at", "created_at"),
    Field("updated_at", "updated_at"),
    Field("started_at", "started_at"),
    Field("finished_at", "finished_at"),
    Field("exit_code", "exit_code"),
    Field("last_error", "last_error"),
    Field("signature", "signature"),
    Field("reason", "reason", read=lambda text: json.loads(text) if text else None, shown=json.dumps),
    Field("worker", "worker"),
    Field("snoozes", "snoozes"),
    Field("progress", shown=values.progress_text),
    Field("result"),
    Field("history"),
)
JOB_KEYS = tuple(field.key for field in FIELDS if field.option is not None)
KNOWN_KEYS = frozenset(field.key for field in FIELDS)
COMMON_KEYS = frozenset(("id", "command", "max_retries", "priority", "unique"))  # SHARED_COLUMNS stay as they are
EDGE_KEYS = ("after", "after_any", "after_fail")
BY_HAND = (
    *("id", "command", "max_retries", "priority", "unique", "run_at", "delay", "cwd", "umask"),
    *("queue", "hold"),
    *EDGE_KEYS,
    *policy.RULES,
)
CHECKED = tuple((field.key, field.check) for field in FIELDS if field.check)

OWN_COLUMNS = "id, command, is_list, max_retries, priority, unique_key"
SHARED_COLUMNS = "run_at, next_run_at, lane, held_at, %s, cwd, umask, created_at, updated_at, policy, queue" % (
    ", ".join(field.column for field in FIELDS if field.check)
)
INSERT_COLUMNS = OWN_COLUMNS + ", " + SHARED_COLUMNS
OWN, SHARED = (names.count(",") + 1 for names in (OWN_COLUMNS, SHARED_COLUMNS))
KEY = OWN - 1  # where unique_key stands in a row
BESIDE = OWN + SHARED  # where what other tables are to hold of the job stands (store/beside), the last of a row
QUEUE = BESIDE - 1
READ = tuple((field.key, field.read) for field in FIELDS if field.read)


def shown(show: Callable[[Any], str], value: Any) -> str:
    """*value* for people; as it stands where it is not what *show* expects: changed by hand, or damaged."""
    try:
        return str(show(value))
    except (TypeError, ValueError, AttributeError, OverflowError):
        return str(value)
