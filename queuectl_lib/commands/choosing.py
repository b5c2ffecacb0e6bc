"""Which jobs a call means: the arguments that select them, and what is said of those that were changed."""

from __future__ import annotations

from queuectl_lib import errors, times, values
from queuectl_lib.commands import frame, terminal
from queuectl_lib.errors import BadInput, HostError, Interrupted, QueueError
from queuectl_lib.jobs import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator, List, Optional, Sequence

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.store.changing import Verb
    from queuectl_lib.store.database import Database
    from queuectl_lib.store.selecting import Found, Selection
    from queuectl_lib.values import Fields
    from storage import Queue

LAST = frame.argument("--last", metavar="N", help="the newest N")
ALL = frame.argument("--all", action="store_true", help="all of them")
STATE = frame.argument("--state", metavar="S[,S]", help="only these states")
QUEUE = frame.argument("--queue", metavar="Q[,Q]", dest="in_queue", help="only in these queues")
TAGGED: Fields = {"metavar": "TAG", "dest": "tagged", "action": "append"}
TAG = frame.argument("--tag", **TAGGED, help="only with this tag (repeatable: with all of them)")
SELECTORS = [
    frame.argument("ids", metavar="ID", nargs="*", help="an id, or the beginning of one that was made"),
    LAST,
    ALL,
    STATE,
    QUEUE,
    TAG,
    frame.argument("--match", metavar="TEXT", help="only where the command holds this text, in small letters or large"),
    frame.argument("--since", metavar="T", help="only those added since this time, or age: 2h"),
    frame.argument("--until", metavar="T", help="only those added up to this time, or age"),
    frame.argument("--schedule", metavar="NAME", help="only what this schedule has made"),
    frame.argument("--group", metavar="GROUP", help="only what last failed as those of this group of `dlq groups`"),
]
DRY_RUN = frame.argument("--dry-run", action="store_true", help="show which jobs are meant, and change nothing")
QUIET = frame.argument("--quiet", action="store_true", help="print nothing when it worked; no job meant is fine, too")
CHANGING = [*SELECTORS, DRY_RUN, QUIET]  # of what changes jobs

# Of a verb to which --tag and --queue are what is changed.
BESIDE_CHANGES = [
    frame.argument("--in-queue", metavar="Q[,Q]", help="only in these queues"),
    frame.argument(
        "--tagged", metavar="TAG", action="append", help="only with this tag (repeatable: with all of them)"
    ),
]

CONDITIONS = {name: "--" + name for name in ("last", "state", "match", "since", "until", "schedule", "group")}
CONDITIONS.update(in_queue="--queue", tagged="--tag")


def conditions(call: Call) -> List[str]:
    """The options with a condition that were given. Raises BadInput where --all stands beside something else."""
    options = call.options
    flags = CONDITIONS if not hasattr(options, "tag") else dict(CONDITIONS, in_queue="--in-queue", tagged="--tagged")
    given = [flag for name, flag in flags.items() if getattr(options, name, None) is not None]
    if options.all and (given or options.ids):
        raise BadInput("--all and %s contradict each other: give one of them" % (given or ["ids"])[0])
    return given


def is_given(call: Call) -> bool:
    """True where anything says which jobs are meant."""
    return bool(conditions(call)) or bool(call.options.ids) or bool(call.options.all)


def require(call: Call) -> None:
    """Raise BadInput where nothing says which."""
    if not is_given(call):
        raise BadInput("name jobs, or --tag, --group ..., or --all: `list` shows their ids")


def ids_alone(call: Call, database: Database) -> Optional[List[str]]:
    """The ids that were given, in full, where they are all that was given: these must all exist and fit."""
    if conditions(call) or not call.options.ids or getattr(call.options, "dry_run", False):
        return None
    if getattr(call.options, "oldest", None) is not None:
        return None
    return ids_in_full(call, database)


def ids_in_full(call: Call, database: Database) -> List[str]:
    if all(len(word) >= 12 and word == word.lower() for word in call.options.ids):  # these need not be looked for
        return values.unique(call.options.ids)
    from queuectl_lib.store import finding  # which many calls need not

    return finding.in_full(database, call.options.ids)


def selection(call: Call, database: Database, among: Sequence[str] = states.STATES) -> Selection:
    """What the options select, of the jobs in the states *among*. Raises BadInput."""
    from queuectl_lib.store import selecting

    options, chosen = call.options, selecting.Selection(among)
    wanted = states.check_states(options.state)
    chosen.states = [state for state in among if not wanted or state in wanted]
    if options.ids:
        chosen.ids = ids_in_full(call, database)
    if options.last is not None:
        chosen.last = values.count_from_text(options.last, "--last", 1000000000)
    if options.in_queue is not None:
        chosen.queues = values.unique(options.in_queue.split(","))
    chosen.tags = checked_tags(options.tagged)
    if options.match is not None:
        chosen.match = values.check_text(options.match, "--match")
        if not chosen.match:
            raise BadInput("--match is empty")
    if options.schedule is not None:
        chosen.schedule = values.check_text(options.schedule, "--schedule")
    if options.group is not None:
        from queuectl_lib.store import groups

        chosen.signature = groups.meant(database, options.group)
    if getattr(options, "oldest", None) is not None:
        chosen.oldest = values.count_from_text(options.oldest, "--limit", 1000000000)
    chosen.since, chosen.until = moment(call, "since"), moment(call, "until")
    return chosen


def checked_tags(words: Optional[Sequence[str]]) -> List[str]:
    """The tags that --tag has named, each once. Raises BadInput."""
    if not words:
        return []
    from queuectl_lib.jobs import beside

    return values.unique([beside.check_tag(word) for word in words])


def moment(call: Call, name: str) -> Optional[str]:
    """The time that an option names, or that was so long ago, as the database has times. Raises BadInput."""
    text = getattr(call.options, name)
    if text is None:
        return None
    if "-" in text[1:]:
        return times.utc_text(times.parse_time(text, "--" + name))
    try:
        return times.utc_text(max(times.FIRST_TIME, call.now - times.parse_duration(text, "--" + name)))
    except BadInput:
        what = "neither a time such as 2027-12-01T10:00:00Z nor an age such as 2h"
        raise BadInput("--%s: %s is %s" % (name, errors.shown(text), what)) from None


# ---------------------------------------------------------------- what is meant


def narrow(chosen: Selection, fits: Sequence[str]) -> List[str]:
    """Those of the states *fits* in which a job is meant: the guard of the verb.

    The newest N are chosen first: what does not fit of them is left as it is, and no other takes its place.
    """
    guard = [state for state in chosen.states if state in fits]
    if chosen.last is None:
        chosen.states = guard
    return guard


def found(database: Database, chosen: Selection, guard: Sequence[str]) -> Iterator[Found]:
    """The jobs that *chosen* means, those in the states of *guard*."""
    from queuectl_lib.store import selecting

    return (pair for pair in selecting.find(database, chosen) if pair[1] in guard)


def each_id(call: Call, queue: Queue) -> Iterator[str]:
    """The ids of the jobs that the call means, the oldest first; in the order given where it names them."""
    require(call)
    ids = ids_alone(call, queue.database)
    if ids is not None:
        if len(ids) > 1:
            from queuectl_lib.store import finding

            finding.states_of(queue.database, ids)  # all or none
        return iter(ids)
    from queuectl_lib.store import numbered, selecting

    return some(numbered.ids_of(queue.database, selecting.find(queue.database, selection(call, queue.database))))


def some(ids: Iterator[str]) -> Iterator[str]:
    """*ids*. Raises QueueError where there is none."""
    none = True
    for identifier in ids:
        none = False
        yield identifier
    if none:
        raise QueueError("no job matches", "no_match")


def refuse_unfit(queue: Queue, chosen: Selection, fits: Sequence[str], done: str) -> None:
    """Raise QueueError where one of the ids is that of a job that does not fit."""
    from queuectl_lib.store import finding

    for identifier, state in zip(chosen.ids or (), finding.states_of(queue.database, chosen.ids or ())):
        if state not in fits:
            raise QueueError("job %s is %s: nothing would be %s" % (identifier, state, done), "wrong_state")


def nothing(call: Call, done: str) -> int:
    """What is said where no job was meant; for a line of cron that is fine."""
    if call.options.quiet:
        call.facts = [] if call.options.dry_run or done == "changed" else {done: 0, "ids": None}
        return 0
    raise QueueError("no job matches: nothing was %s" % done, "no_match")


# ---------------------------------------------------------------- what was changed


def change(done: str, verb: Verb, act: Callable[[Callable[[], Any]], object]) -> None:
    """Run *act*, which does what *verb* does and is given whom to tell of it; Ctrl+C says how many are *done*."""
    progress = terminal.Progress()
    try:
        try:
            act(lambda: progress.show("%s %s" % (done, terminal.jobs_text(verb.changed))))
        finally:
            progress.end()
    except KeyboardInterrupt:
        if not verb.changed:
            raise
        were = "was" if verb.changed == 1 else "were"
        raise Interrupted("interrupted after %s %s %s" % (terminal.jobs_text(verb.changed), were, done)) from None


def report(call: Call, queue: Queue, done: str, verb: Verb, *more: str, left: str = "", which: str = "") -> int:
    """Say how many were changed, and *which*.

    Raises HostError where the database has refused some, *left* as they were.
    """
    if not verb.found:
        return nothing(call, done)
    said = ["%s %s%s" % (done, terminal.jobs_text(verb.changed), which), *more]
    if verb.refused:
        raise HostError("; ".join([*said, refusal_of(queue.path, verb, left)]), "database_refuses")
    call.facts = {done: verb.changed, "ids": None} if done != "changed" else None
    if not call.options.quiet:
        for text in more if call.options.json else said:
            terminal.tell(text)
    return 0


def refusal_of(path: str, verb: Verb, left: str) -> str:
    """Which jobs stay as they are although they should not, and why."""
    named = ["%s: %s" % (errors.printable(identifier), errors.printable(why)) for identifier, why in verb.named]
    if verb.refused > len(named):
        named.append("and %d more" % (verb.refused - len(named)))
    text = "left %s%s, which %s refuses to change (%s): look at its constraints and triggers"
    return text % (terminal.jobs_text(verb.refused), left, errors.printable(path), "; ".join(named))
