"""`worker start`, `worker stop`, `worker list`."""

from __future__ import annotations

import os
import re
import time

import queuectl_lib
from queuectl_lib import errors, settings, times, values
from queuectl_lib.commands import frame, starting_words, terminal
from queuectl_lib.commands.terminal import Progress
from queuectl_lib.errors import BadInput, HostError, NoDatabase, QueueError
from queuectl_lib.host import bundle, bytecode, files, processes, system
from queuectl_lib.run import wording
from queuectl_lib.store import looking, roster, staying

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional, Sequence, Set, Tuple

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.run.options import Options
    from queuectl_lib.values import Fields
    from storage import Queue

START_ARGUMENTS = (
    frame.argument("-n", "--count", metavar="N", default="1", help="how many jobs at once (default 1)"),
    frame.argument("--processes", metavar="P", help="on so many workers (default: N, at most two for each core)"),
    frame.argument("--background", "--daemon", action="store_true", help="detach, and log to a file"),
    frame.argument("--drain", action="store_true", help="end once nothing is left to run, retries and delays included"),
    *[
        frame.argument(wording.option_of(setting.key), metavar=setting.override[0], help=setting.override[1])
        for setting in settings.SETTINGS
        if setting.override
    ],
    frame.argument(
        "--max-time", metavar="DURATION", help="stop after this long: running jobs finish, nothing new starts"
    ),
    frame.argument("--queue", metavar="A,B", help="start jobs of these queues only"),
    frame.argument("--not-queue", metavar="A,B", help="start jobs of all queues but these"),
    frame.argument("--ensure", action="store_true", help="only where no supervisor serves this queue already"),
    frame.argument("--quiet", action="store_true", help="do not say that it was started in the background"),
    frame.argument("--verbose", action="store_true", help="with --ensure: say why none was started"),
    frame.argument("--name", help=frame.HIDDEN),
)


IN_BACKGROUND = "started in the background: supervisor %s, pid %d, %s; log: %s"


@frame.command("worker start", *START_ARGUMENTS, shows=True, as_owner=False)
@frame.command("worker", *START_ARGUMENTS, shows=True, as_owner=False)
def worker_start(call: Call) -> int:
    asked = call.options
    if asked.name is not None and not re.match(r"[A-Za-z0-9]{1,32}\Z", asked.name):
        raise BadInput("--name: %s is not up to 32 letters and digits" % errors.shown(asked.name))
    import worker  # with multiprocessing, which other commands do without
    from queuectl_lib.run import inheriting, starting

    queuectl_lib.refuse_other_version(worker)
    queue = call.queue()
    wanted = wanted_options(call, queue)
    facts: Fields = {"started": False, "supervisor": None, "pid": None, "jobs": None, "log": None}
    call.facts = facts
    if asked.ensure and starting_words.keeps_from_starting(call, queue, wanted.served):
        return 0
    files.make_home(call.home)
    queue.database.create()
    looking.counts(queue.database)  # is it ours, whole, and of a version that we know?
    bytecode.write_bytecode()
    inheriting.note_home(call.home)
    name = asked.name or starting.new_supervisor_name()
    said: List[str] = []
    if asked.name is None and not asked.ensure:
        starting_words.end_stay(call, queue)

    def start(when_present: Optional[Callable[[], None]]) -> None:
        facts.update(started=True, supervisor=name, pid=os.getpid(), jobs=wanted.jobs)
        if not asked.background:
            starting_words.tell_total(call, queue.folder, name, wanted)
            ready = told_when_present(call, staying.heeded(queue.folder, name, when_present))
            worker.serve(queue, name, wanted, call.config, ready)
            return
        pid = starting.start_background(queue, wording.command_line(bundle.SCRIPT, call.home, name, wanted), name)
        facts.update(pid=pid, log=queue.folder.log)
        said.append(IN_BACKGROUND % (name, pid, wording.described(wanted), queue.folder.log))

    if asked.ensure:
        starting.ensure_served(queue, wanted.served, start)
    else:
        start(None)
    for text in said:  # now, when whoever does not read it keeps nobody else from starting one
        if not (asked.quiet or asked.json):
            terminal.tell(text)
            starting_words.tell_total(call, queue.folder, name, wanted)
            starting_words.tell_of_drain(queue, wanted, call.now)
    return 0


def wanted_options(call: Call, queue: Queue) -> Options:
    """What the options of `worker start` ask for. Raises BadInput."""
    asked = call.options
    given = {setting.key: getattr(asked, setting.key) for setting in settings.SETTINGS if setting.override}
    overrides = {key: text for key, text in given.items() if text is not None}
    wanted = wording.checked_options(asked.count, asked.processes, asked.drain, overrides, asked.max_time)
    wanted.served = served_queues(queue, asked.queue, asked.not_queue)
    return wanted


def told_when_present(call: Call, when_present: Optional[Callable[[], None]]) -> Optional[Callable[[], None]]:
    """*when_present*, and then who works here: in the foreground a program is told at once, for the end is far."""
    if not call.options.json:
        return when_present

    def tell() -> None:
        if when_present:
            when_present()
        terminal.print_text(terminal.json_text(call.facts), flush=True)  # whose signals are its own by now
        call.facts = None

    return tell


def served_queues(queue: Queue, these: Optional[str], others: Optional[str]) -> List[str]:
    """What `--queue A,B` or `--not-queue A,B` asks for, as store/serving.is_served reads it. Raises BadInput."""
    if these is not None and others is not None:
        raise BadInput("--queue and --not-queue contradict each other: give one of them")
    text = these if these is not None else others
    if text is None:
        return []
    from queuectl_lib.store import queues  # which few calls need

    names = queues.named(queue.database, text)
    return names if others is None else ["!" + name for name in names]


@frame.command(
    "worker stop",
    frame.argument("--now", action="store_true", help="end running jobs and give them back"),
    frame.argument(
        "--leave-running", action="store_true", help="leave running jobs to the next worker (not on Windows)"
    ),
    frame.argument("--timeout", metavar="DURATION", help="end running jobs after this long"),
    frame.argument("--stay", action="store_true", help="and let --ensure start none %s" % staying.UNTIL),
    shows=True,
)
def worker_stop(call: Call) -> int:
    queue = call.queue()
    limit = None if call.options.timeout is None else times.parse_duration(call.options.timeout, "--timeout")
    if call.options.now and call.options.leave_running:
        raise BadInput("--now and --leave-running contradict each other: give one of them")
    if limit is not None and call.options.leave_running:
        raise BadInput("--timeout and --leave-running contradict each other: give one of them")
    if call.options.leave_running and system.WINDOWS:
        raise BadInput("--leave-running: on Windows a job ends with its worker")
    if call.options.stay:
        starting_words.begin_stay(call, queue)
    members = roster.members(queue.folder)
    if not members:
        terminal.tell("no worker is running")
        call.facts = {"stopped": [], "ended": True, "left_running": tell_of_what_is_left(call, queue)}
        return 0
    supervisors = values.unique([member["supervisor"] or member["name"] for member in members])
    how = "now" if call.options.now else "leave" if call.options.leave_running else "stop"
    starting_words.tell_paused(queue.folder)
    inside = roster.is_asked_by_its_job(queue.database)
    roster.ask_to_stop(queue.folder, supervisors, how)
    if inside:
        call.facts = {"stopped": supervisors, "ended": False, "left_running": 0}
        terminal.tell("stopping; called by a job, which the stop waits for, so this returns at once")
        return 0
    if how != "stop":
        await_end(queue, supervisors, call.config().grace + 30)
    elif not await_end(queue, supervisors, limit, Progress()):
        roster.ask_to_stop(queue.folder, supervisors, "now")
        if terminal.can_tell():
            terminal.tell("running jobs did not finish in time: ending them")
        await_end(queue, supervisors, call.config().grace + 30)
    if not call.options.json:
        terminal.tell("stopped")
    call.facts = {"stopped": supervisors, "ended": True, "left_running": tell_of_what_is_left(call, queue)}
    return 0


def tell_of_what_is_left(call: Call, queue: Queue) -> int:
    """Say, and return, how many jobs are left without a worker; and say whether workers stay stopped."""
    left = tell_of_left_jobs(queue)
    starting_words.tell_stay(queue.folder, call.now)
    return left


ENDING_SECONDS = 2.0  # within which who has given up its life file ends, so its disk can be unmounted


def await_end(
    queue: Queue, supervisors: Sequence[str], limit: Optional[float], progress: Optional[Progress] = None
) -> bool:
    """Wait until these supervisors and their workers are gone, and say how it goes; False after *limit* seconds.

    Raises QueueError with who is alive where that is told by no *progress*, and where nobody who has
    heard of the stop has a job to finish, and nobody else hears.
    """
    began = changed = time.monotonic()
    before: object = None
    pids: Set[int] = set()
    try:
        while True:
            left = roster.members_of(queue.folder, supervisors)
            if not left:
                processes.await_death(pids, ENDING_SECONDS)
                return True
            pids.update(roster.pids_here(left))
            now, seen = time.monotonic(), [(member["name"], roster.has_heard(member)) for member in left]
            before, changed = seen, changed if seen == before else now
            if now - changed > roster.patience_with(left):
                raise QueueError("nobody here has heard of the stop: %s" % still_alive(left), "not_ended")
            if limit is not None and now - began >= limit:
                if progress:
                    return False
                raise QueueError("not ended in time: %s" % still_alive(left), "not_ended")
            if progress:
                some = ("1 process", "it") if len(left) == 1 else ("%d processes" % len(left), "them")
                progress.show("waiting for %s to finish (Ctrl+C leaves %s to it)" % some)
            time.sleep(0.03)
    finally:
        if progress:
            progress.end()


def still_alive(members: Sequence[Fields]) -> str:
    """Who lives, and what to type for those on this host: elsewhere their pids are those of others."""
    named = ["%s %s (pid %s on %s)" % (one["kind"], one["name"], shown_pid(one), one["host"]) for one in members]
    how = system.how_to_kill(roster.pids_here(members))
    return "still alive: " + ", ".join(named) + ("; " + how if how else "")


def shown_pid(member: Fields) -> str:
    return str(member["pid"] or "?")


def tell_of_left_jobs(queue: Queue) -> int:
    """Say, and return, how many jobs are left without a worker: left to run, or it died, or had let go of them."""
    left = 0
    try:
        left = roster.counts_of_others(queue.database)["processing"]
    except NoDatabase:
        pass
    except HostError as error:  # the stop is done all the same
        terminal.tell("what was left cannot be told, and is up to the next `worker start`: %s" % error)
    if left and not roster.members(queue.folder):
        from queuectl_lib.store import identity  # needed only then

        place = identity.copied_from(queue.database)
        if place:
            text = "this is a copy of the queue %s: what runs there is left alone, and the next `worker start` here %s"
            terminal.tell(text % (place, "counts %s as interrupted" % ("1 job" if left == 1 else "%d jobs" % left)))
            return left
        jobs = "1 job is" if left == 1 else "%d jobs are" % left
        terminal.tell("%s left without a worker: the next `worker start` adopts what still runs" % jobs)
        return left
    return 0


def place_of(member: Fields) -> Tuple[str, int, str]:
    """Its place in a list: each supervisor before its workers, these by number."""
    name = str(member["name"])
    return str(member["supervisor"] or name), len(name), name


@frame.command("worker list", shows=True)
def worker_list(call: Call) -> int:
    queue = call.queue()
    members = starting_words.with_states(queue.folder, roster.members_and_jobs(queue.database))
    if call.options.json:
        call.print_json(members)
    elif not members:
        terminal.tell("no worker is running")
    else:
        from queuectl_lib.jobs import local_time  # which no worker needs

        screen = local_time.Screen(call.now)
        begin = slice(5, 16) if (terminal.columns() or 80) < 80 else slice(None)  # without year and seconds
        rows = [
            (m["name"], starting_words.kind_of(m), shown_pid(m), m["host"], screen.text(m["since"])[begin])
            + (str(m.get("slots") or "-"), wording.served_text(m.get("queues", ())), job)
            for m in sorted(members, key=place_of)
            for job in m["jobs"] or ["-"]
        ]
        columns = [0, 1, 2, 3, 4, 5, 6, 7] if [m for m in members if m.get("queues")] else [0, 1, 2, 3, 4, 5, 7]
        headings = ("NAME", "KIND", "PID", "HOST", screen.heading("SINCE"), "SLOTS", "QUEUES", "JOB")
        cells = [[row[one] for one in columns] for row in rows]
        terminal.print_table([headings[one] for one in columns], cells, spare=("HOST", "SLOTS", "PID"))
    starting_words.tell_stay(queue.folder, call.now)
    return 0
