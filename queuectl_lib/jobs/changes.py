"""What `edit` changes of a waiting job: checked by what checks `add`, and joined with what the job has already."""

from __future__ import annotations

import json

from queuectl_lib import errors
from queuectl_lib.errors import BadInput, QueueError
from queuectl_lib.jobs import beside, checks, fields, policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Optional, Sequence, Set

    from queuectl_lib.jobs.making import JobMaker
    from queuectl_lib.values import Fields

# Key of a job: the columns that a change of it writes.
COLUMNS = {
    "command": ("command", "is_list"),
    "max_retries": ("max_retries",),
    "priority": ("priority",),
    "run_at": ("run_at", "next_run_at"),
    "delay": ("run_at", "next_run_at"),
    "timeout": ("timeout",),
    "cwd": ("cwd",),
    "queue": ("queue",),
    "lock": ("lock_key",),
}
RULES = ("launcher", "launcher_args")  # of the column policy
PLACING = {"priority", "next_run_at", "queue", "lock_key"}  # columns that decide where a job waits, and its turn
ROW = fields.INSERT_COLUMNS.split(", ")


class Change:
    """One edit, of one job or of several: *columns* as they are stored, and what else is given and taken."""

    def __init__(self, maker: JobMaker, asked: Fields, emptied: Iterable[str] = ()) -> None:
        """*asked*: JSON keys to values, as for a new job; *emptied*: keys that are to have none. Raises BadInput."""
        self.maker = maker
        self.env: Dict[str, str] = {}
        self.unset: Sequence[str] = ()
        self.tags: Sequence[str] = ()
        self.untags: Sequence[str] = ()
        self.no_after = False  # what it comes after is forgotten
        plain = {key: value for key, value in asked.items() if key not in RULES}
        row = dict(zip(ROW, maker.row(dict({"command": "true"}, **plain))))
        self.columns: Fields = {column: row[column] for key in plain for column in COLUMNS[key]}
        self.rules: Fields = {key: policy.RULES[key].check(asked[key], key) for key in RULES if key in asked}
        if maker.launching is not None and "launcher" in self.rules:
            maker.launching({"launcher": self.rules["launcher"]}.get)
        self.columns.update({column: None for key in emptied if key not in RULES for column in COLUMNS[key]})
        self.rules.update({key: None for key in emptied if key in RULES})

    def with_variables(self, env: Dict[str, str], unset: Sequence[str]) -> None:
        """Set the variables *env*, and take those called *unset* away. Raises BadInput."""
        checks.check_env(env)
        for name in unset:
            if not name or "=" in name:
                raise BadInput("--unset-env: the name of a variable is expected, without a value")
        refuse_both(set(env) & set(unset), "--env and --unset-env")
        self.env, self.unset = env, unset

    def with_tags(self, tags: Sequence[str], untags: Sequence[str]) -> None:
        """Give it *tags*, and take *untags*. Raises BadInput."""
        self.tags, self.untags = beside.check_tags(list(tags)), [beside.check_tag(tag) for tag in untags]
        refuse_both(set(self.tags) & set(self.untags), "--tag and --untag")

    def is_empty(self) -> bool:
        return not (self.no_after or self.changes_it())

    def changes_it(self) -> bool:
        """True where more is changed than what it comes after."""
        return bool(self.columns or self.rules or self.env or self.unset or self.tags or self.untags)

    def only_forgets(self) -> bool:
        """True where nothing but what it comes after is changed: that can be done to a cancelled job, too."""
        return self.no_after and not self.changes_it()

    def places_anew(self) -> bool:
        """True where the lane of a job is to be decided again."""
        return bool(PLACING & set(self.columns))

    def columns_of(self, job: Any) -> Fields:
        """The columns of *job* (as it is stored) that change, with their values. Raises QueueError."""
        columns = dict(self.columns)
        least, most = job["attempts"], columns.get("max_retries")
        if most is not None and type(least) is int and most < least:
            used = "1 attempt" if least == 1 else "%d attempts" % least
            raise QueueError("job %s has used %s: at least %d" % (job["id"], used, least))
        if self.env or self.unset:
            columns["env"] = checks.check_env(self.variables_of(job))
        command, is_list = (columns if "command" in columns else job)["command"], columns.get("is_list", job["is_list"])
        if not is_list and ("env" in columns or "command" in columns):
            checks.check_handed_on(str(command), variables(job["id"], columns.get("env", job["env"])))
        if self.rules:
            columns["policy"] = self.policy_of(job, str(command) if not is_list else "")
        return columns

    def policy_of(self, job: Any, text: str) -> Optional[str]:
        """All rules of *job*, whose command is *text*, once it is changed, as they are stored. Raises QueueError."""
        found = object_of(job["id"], job["policy"], "policy")
        found.update(self.rules)
        launcher = found.get("launcher")
        if found.get("launcher_args") and launcher == "none":
            raise QueueError("job %s has the launcher none: nothing is given to it: nothing was changed" % job["id"])
        if text[:2] == "#!" and launcher not in (None, "none"):
            text = "job %s begins with #!, so it stands in a file here, which is not there: nothing was changed"
            raise QueueError(text % job["id"])
        return policy.stored({key: value for key, value in found.items() if value is not None})

    def variables_of(self, job: Any) -> Dict[str, str]:
        """All variables of *job*, once it is changed. Raises QueueError."""
        found = variables(job["id"], job["env"])
        for name in self.unset:
            if name not in found:
                raise QueueError("job %s has no variable %s: nothing was changed" % (job["id"], errors.shown(name)))
            del found[name]
        found.update(self.env)
        return found

    def tags_of(self, job: Any) -> List[str]:
        """All tags of *job*, once it is changed. Raises QueueError."""
        tags = str(job["tags"] or "").split()
        for tag in self.untags:
            if tag not in tags:
                raise QueueError("job %s has no tag %s: nothing was changed" % (job["id"], errors.shown(tag)))
        found = sorted((set(tags) - set(self.untags)) | set(self.tags))
        if len(found) > beside.TAGS_MOST:
            text = "job %s would have %d tags: at most %d: nothing was changed"
            raise QueueError(text % (job["id"], len(found), beside.TAGS_MOST))
        return found


def refuse_both(twice: Set[str], options: str) -> None:
    """Raise BadInput where some are to be given and taken at once."""
    if twice:
        raise BadInput("%s contradict each other: %s" % (options, errors.shown(min(twice))))


def variables(identifier: str, stored: Any) -> Dict[str, str]:
    """The variables of a job as they are stored. Raises QueueError where somebody has made that what cannot be read."""
    return object_of(identifier, stored, "env")


def object_of(identifier: str, stored: Any, what: str) -> Fields:
    """The same of *what* is stored of it as an object of JSON."""
    try:
        found = json.loads(stored) if stored else {}
    except (ValueError, TypeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise QueueError("job %s: its %s cannot be read: nothing was changed" % (identifier, what))
    return found


def as_json(command: str, is_list: int) -> str:
    """A command that is stored so, as JSON: a text or a list."""
    return command if is_list else json.dumps(command, ensure_ascii=False)
