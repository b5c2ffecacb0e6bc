"""What `worker start`, `stop` and `list` say of what they meet: a wish that workers stay stopped, others that work."""

from __future__ import annotations

import sys

from queuectl_lib.commands import frame, terminal
from queuectl_lib.host import files
from queuectl_lib.store import roster, staying

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.run.options import Options
    from queuectl_lib.store.folder import Folder
    from queuectl_lib.values import Fields
    from storage import Queue


def keeps_from_starting(call: Call, queue: Queue, served: Sequence[str]) -> bool:
    """True where `worker start --ensure` is to start nobody; why is said on a terminal, and where it is asked for."""
    why = stays(queue.folder, call.now)
    if why:
        why += ": none was started"
    elif roster.is_served(queue.folder, served):
        why = "a supervisor serves this queue already: none was started" if call.options.verbose else ""
    else:
        return False
    if why and (call.options.verbose or terminal.is_terminal(sys.stderr)):
        terminal.tell(why)
    return True


def stays(folder: Folder, now: float) -> str:
    """That workers are to stay stopped, for people; "" where they are not. Raises HostError."""
    with files.refusals_told(folder.path):
        since = folder.stays_since()
    return "" if since is None else staying.words(since, now)


def tell_stay(folder: Folder, now: float) -> None:
    """Say that workers are to stay stopped, where they are."""
    why = stays(folder, now)
    if why:
        terminal.tell(why)


def end_stay(call: Call, queue: Queue) -> None:
    """A person starts workers: the wish that they stay stopped is over."""
    if staying.end(queue.folder) is not None and not call.options.quiet:
        terminal.tell("`worker stop --stay` is over: --ensure starts workers again, too")


def begin_stay(call: Call, queue: Queue) -> None:
    """A person wants them to stay stopped. Raises HostError, and nothing was stopped."""
    files.make_home(call.home)
    staying.begin(queue.folder)


def jobs_of_others(folder: Folder, name: Optional[str] = None) -> Sequence[int]:
    """How many jobs each supervisor but *name* runs at once that serves this queue and was not asked to stop."""
    members = roster.members(folder)
    others = [str(one["name"]) for one in members if one["kind"] == "supervisor" and not one["limited"]]
    found: List[int] = []
    for other in others:
        if other != name and not roster.is_asked_to_stop(folder, other):
            own = [one for one in members if one["kind"] == "worker" and one["supervisor"] == other]
            found.append(sum(max(1, worker.get("slots", 1)) for worker in own))
    return found


def tell_total(call: Call, folder: Folder, name: str, wanted: Options) -> None:
    """Say how many jobs run at once in all, where a supervisor is started beside others."""
    is_told = call.options.quiet or call.options.name  # by who has started this one in the background
    others = [] if is_told or wanted.max_seconds is not None else jobs_of_others(folder, name)
    if others:
        text = "%d supervisors work on this queue now, jobs at once: %d in all (`%s worker list`)"
        terminal.tell(text % (len(others) + 1, sum(others) + wanted.jobs, frame.PROGRAM))


def tell_of_drain(queue: Queue, wanted: Options, now: float) -> None:
    """Say what a `--drain` in the background will wait for."""
    from queuectl_lib.store import later  # which few calls need

    found = later.all_that_is_left(queue.database, now) if wanted.drain else None
    if found:
        terminal.tell(found.words(now))


# ---------------------------------------------------------------- who starts nothing, though alive


def with_states(folder: Folder, members: List[Fields]) -> List[Fields]:
    """*members*, and of each whether it starts nothing: "state" is paused, stopping or None."""
    if not members:
        return members
    from queuectl_lib.reports import crew  # needed only then

    people = crew.Crew(folder)
    state = dict.fromkeys(people.stopping, "stopping")
    state.update(dict.fromkeys(people.paused, "paused"))
    return [dict(member, state=state.get(str(member["name"]))) for member in members]


def kind_of(member: Fields) -> str:
    return "%s, %s" % (member["kind"], member["state"]) if member["state"] else str(member["kind"])


def tell_paused(folder: Folder) -> None:
    """Say, before a stop, who hears of none, and what becomes of it then."""
    from queuectl_lib.reports import crew  # needed only then

    people = crew.Crew(folder)
    hearing = {one["name"] for one in people.supervisors} - set(people.paused)
    for one in people.supervisors + people.workers:
        if one["name"] in people.paused:
            end = "; else it is killed at last" if one["supervisor"] in hearing else ""
            text = "%s is paused (state T) and hears of no stop: `kill -CONT %d` lets it finish%s"
            terminal.tell(text % (one["name"], people.paused[one["name"]], end))
