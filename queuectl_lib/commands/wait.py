"""`wait`: until jobs are final."""

from __future__ import annotations

import sys
import time

from queuectl_lib import times
from queuectl_lib.commands import choosing, frame, terminal
from queuectl_lib.commands.terminal import Progress
from queuectl_lib.jobs import states
from queuectl_lib.store import finding, roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.store.database import Database
    from queuectl_lib.store.selecting import Selection
    from queuectl_lib.values import Fields
    from storage import Queue

TIMED_OUT = 124


@frame.command(
    "wait",
    *choosing.SELECTORS,
    frame.argument("--timeout", metavar="DURATION", help="give up after this long"),
    shows=True,
)
def wait(call: Call) -> int:
    queue, options = call.queue(), call.options
    look = what_to_count(call, queue, choosing.ids_alone(call, queue.database))
    is_bare = look.ids is None and not isinstance(look, Chosen)
    limit = None if options.timeout is None else times.parse_duration(options.timeout, "--timeout")
    deadline = None if limit is None else time.monotonic() + limit
    progress, pause, hinted, ahead = Progress(), 0.02, False, Outlook(queue, is_bare)
    left: Optional[Fields] = None  # to persons
    try:
        while True:
            began = time.monotonic()
            counts = look.counts()
            open_jobs = sum(counts[state] for state in states.STATES if state not in states.FINAL)
            is_quiet = is_bare and open_jobs and not counts["processing"]
            left = left_to_persons(call) if is_quiet else None
            if not open_jobs or left or (deadline is not None and time.monotonic() >= deadline):
                break
            if not hinted and not roster.members(queue.folder):
                hinted = True
                terminal.tell("no worker is running: `%s worker start` starts one" % frame.PROGRAM)
            total = sum(counts.values())
            said = "%d of %d jobs are final" % (total - open_jobs, total)
            progress.bar(total - open_jobs, total, said + ahead.text())
            took = time.monotonic() - began
            time.sleep(pause if deadline is None else min(pause, max(0.001, deadline - time.monotonic())))
            pause = max(min(pause * 1.2, 0.25), 4 * took)  # at many jobs a look takes long
    finally:
        progress.end()
    return tell_what_became(call, look, counts, open_jobs, left)


def tell_what_became(call: Call, look: Counted, counts: Dict[str, int], open_jobs: int, left: Optional[Fields]) -> int:
    """Say how many are how (*left*: those that are open, to persons); the exit code of that."""
    not_needed = 0
    if counts["cancelled"]:
        from queuectl_lib.store import dependencies  # which few calls need

        not_needed = min(counts["cancelled"], dependencies.not_needed(look.database, look.cancelled()))
    if call.options.json:
        facts: Fields = {"not_needed": not_needed, "for_a_person": open_jobs if left else 0}
        ids = look.named()
        if ids is not None:
            from queuectl_lib.store import said  # the same

            facts["results"] = said.results(look.database, ids)
        call.print_json(dict(counts, **facts, timed_out=bool(open_jobs and not left)))
    if left:
        terminal.tell(words_of(left, open_jobs))
    elif open_jobs:
        terminal.tell("timed out: %s not final" % ("1 job is" if open_jobs == 1 else "%d jobs are" % open_jobs))
        return TIMED_OUT
    failures = {"dead": counts["dead"], "cancelled": counts["cancelled"] - not_needed}
    missed = ["%d %s" % (failures[state], state) for state in failures if failures[state]]
    if missed:
        terminal.tell("not all completed: %s" % ", ".join(missed))
    return 1 if missed else 0


def what_to_count(call: Call, queue: Queue, ids: Optional[List[str]]) -> Counted:
    """The jobs that the call means."""
    if ids is not None or not choosing.conditions(call):
        return Counted(queue.database, ids)
    return Chosen(queue.database, choosing.selection(call, queue.database))


class Counted:
    """The jobs with these ids, or all but the one that calls: how many are in each state is asked again and again."""

    def __init__(self, database: Database, ids: Optional[List[str]] = None) -> None:
        self.database = database
        self.ids = ids

    def counts(self) -> Dict[str, int]:
        if self.ids is not None:
            return finding.counts_of(self.database, self.ids)
        return roster.counts_of_others(self.database)

    def named(self) -> Optional[List[str]]:
        """The ids of all that are meant; None where these are all jobs that there are."""
        return self.ids

    def cancelled(self) -> List[str]:
        """The ids among which those that are cancelled are found; none named: all."""
        return self.ids or []


class Chosen(Counted):
    """The jobs that a selector has meant when the call began: of those that are final nothing is asked again."""

    def __init__(self, database: Database, selection: Selection) -> None:
        from queuectl_lib.store import selecting  # which few calls need

        super().__init__(database)
        found = dict(selecting.find(database, selection))
        found.pop(roster.calling_job(database) or 0, None)  # it would wait for itself
        self.final = {seq: state for seq, state in found.items() if state in states.FINAL}
        self.open = [seq for seq in found if seq not in self.final]

    def counts(self) -> Dict[str, int]:
        from queuectl_lib.store import numbered

        found = numbered.states_of(self.database, self.open)
        self.final.update({seq: state for seq, state in found.items() if state in states.FINAL})
        self.open = [seq for seq in found if seq not in self.final]
        return numbered.counts(iter([*self.final.items(), *((seq, found[seq]) for seq in self.open)]))

    def named(self) -> List[str]:
        from queuectl_lib.store import numbered

        pairs = [*self.final.items(), *((seq, "") for seq in self.open)]
        return list(numbered.ids_of(self.database, iter(pairs)))

    def cancelled(self) -> List[str]:
        """The ids of those that are cancelled."""
        from queuectl_lib.store import numbered

        cancelled = [pair for pair in self.final.items() if pair[1] == "cancelled"]
        return list(numbered.ids_of(self.database, iter(cancelled)))


class Outlook:
    """What is said behind the progress of all jobs, on a terminal: about how long it will take, asked now and then."""

    EVERY = 2.0  # seconds

    def __init__(self, queue: Queue, is_bare: bool) -> None:
        self.queue = queue
        self.is_asked = is_bare and terminal.is_terminal(sys.stderr)
        self.known = ""
        self.again = time.monotonic() + 0.2  # who waits for less is told nothing

    def text(self) -> str:
        if self.is_asked and time.monotonic() > self.again:
            from queuectl_lib.reports import estimate  # which only a person needs

            self.known = estimate.words_left(self.queue.database, roster.members(self.queue.folder), time.time())
            self.again = time.monotonic() + self.EVERY
        return self.known


def left_to_persons(call: Call) -> Optional[Fields]:
    """What waits for persons, by numbers, where nothing else is waited for; None where something is."""
    from queuectl_lib.store import waiting  # which no job that is named needs

    database = call.queue().database
    return waiting.for_a_person(database, int(roster.is_asked_by_its_job(database)), call.now)


def words_of(left: Fields, jobs: int) -> str:
    """Of so many *jobs* that nobody but a person frees, which wait for what."""
    said = ["%d held" % left["held"]] if left["held"] else []
    said += ["%d in the paused queue %s" % (some, name) for name, some in left["in_paused_queues"].items()]
    others = jobs - left["held"] - sum(left["in_paused_queues"].values())
    said += ["%d after others" % others] if others > 0 else []
    return "%s wait%s for a person: %s" % (terminal.jobs_text(jobs), "s" if jobs == 1 else "", ", ".join(said))
