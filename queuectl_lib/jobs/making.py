"""From what a person or program asks for to a row of the table of jobs: each field checked, or BadInput.

What the fields are stands in jobs/fields; those that depend on the call, or cost an enqueue of a million jobs too much
otherwise, are made by hand here.
"""

from __future__ import annotations

from queuectl_lib import errors, times, values
from queuectl_lib.errors import BadInput
from queuectl_lib.host import system
from queuectl_lib.jobs import checks, fields, ids, policy, states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, Tuple

NEW = (None,) + states.WAITING


class NotNew(BadInput):
    """A job that says of itself that it ran, or runs now."""


def not_new(state: object, identifier: object) -> BadInput:
    """The refusal of a job for the *state* that it says it is in."""
    if state not in states.STATES:
        return errors.unknown_name("state", state, states.STATES)
    name = "the job" if identifier is None else "job " + ids.check_id(identifier)
    return NotNew("%s says that it is %s" % (name, state))


BESIDE_KEYS = ("tags",) + fields.EDGE_KEYS  # of what other tables hold


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
    returns_taken = 0  # out of so many commands

    def __init__(self, max_retries: int, cwd: str, umask: Optional[int], now: float) -> None:
        self.max_retries = max_retries
        self.cwd = cwd
        self.umask = umask
        self.now = now
        self.now_text = times.utc_text(now)
        self.queue_of: Callable[[object], object] = only_default  # the number of a queue by its name; or BadInput
        self.launching: Optional[Callable[[Callable[[str], object]], None]] = None  # refuses launchers there are not
        self.shared = self._shared(lambda key: None)  # of jobs that say nothing of these

    def row(self, asked: object) -> Tuple[Any, ...]:
        """Check *asked* (JSON keys to values) and return the values of INSERT_COLUMNS, and what stands beside them.

        Raises BadInput that names the field, never a partial result.
        """
        if not isinstance(asked, dict):
            kind = {list: "a list", str: "text", type(None): "null"}.get(type(asked), "a number or a truth value")
            raise BadInput('a job is an object such as {"command": "true"}, not %s' % kind)
        keys, get = asked.keys(), asked.get
        if keys <= fields.COMMON_KEYS:
            shared = self.shared
        elif keys <= fields.KNOWN_KEYS:
            if get("state") not in NEW and not self.any_state:
                raise not_new(get("state"), get("id"))
            shared = self._shared(get)
        else:
            raise errors.unknown_name("key", min(set(asked) - fields.KNOWN_KEYS), fields.JOB_KEYS)
        command = get("command")
        if type(command) is str and "\r" in command:
            command = self.without_returns(command)
        command, is_list = checks.check_command(command)
        if shared is not self.shared:
            if not is_list:
                checks.check_handed_on(command, get("env"))
            if get("shell") is not None and (is_list or command[:2] == "#!"):
                what = "a list" if is_list else "#!"
                raise BadInput("shell: it has nothing to read: %s names its own program" % what)
            if self.launching is not None and not (get("launcher") is get("launcher_args") is None):
                self.launching(get)
        if command[:2] == "#!":
            from queuectl_lib.jobs import interpreters  # which few jobs need

            interpreters.check_text(command, get("env"))
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
        if [key for key in fields.EDGE_KEYS if get(key)]:
            lane = 2  # until its parents are looked at (store/dependencies)
        held_at = self.now_text if hold is not None and checks.check_flag("hold")(hold) else None
        return (
            (run_at, due, 3 if held_at else lane, held_at)
            + tuple([None if get(key) is None else check(get(key)) for key, check in fields.CHECKED])
            + (
                self.cwd if cwd is None else checks.check_directory(cwd, self.cwd),
                self.umask if umask is None else checks.check_umask(umask),
                self.now_text,
                self.now_text,
                policy.of(get),
                0 if queue in (None, DEFAULT) else self.queue_of(queue),
                beside_row(get),
            )
        )

    def without_returns(self, text: str) -> str:
        """*text* with its line ends as a shell here knows them: to it a carriage return is part of the last word."""
        if system.WINDOWS:
            return text
        found = text.replace("\r\n", "\n")
        found = found[:-1] if found.endswith("\r") else found
        self.returns_taken += found != text
        return found

    def _times(self, run_at: object, delay: object) -> Tuple[Optional[str], str, int]:
        """run_at as stored, when it is due, and the lane (0 due, 1 later)."""
        if run_at is None and delay is None:
            return None, self.now_text, 0
        if run_at is not None and delay is not None:
            raise BadInput("run_at and delay contradict each other: give one of them")
        due = self._moment(run_at) if delay is None else self.now + times.parse_duration(delay, "delay")
        if due > times.LAST_TIME:
            raise BadInput("delay: %s is after the year 9999" % errors.shown(delay))
        return times.utc_text(due), times.utc_text(due), int(due > self.now)

    def _moment(self, run_at: object) -> float:
        """Seconds since 1970 of a time; as people write it, it is seen from now."""
        if isinstance(run_at, str) and run_at[4:5] == "-":
            return times.parse_time(run_at)
        from queuectl_lib.jobs import moments  # which programs need not

        return moments.parse(run_at, "run_at", self.now)
