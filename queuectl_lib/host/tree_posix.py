"""The processes of one attempt on Linux, macOS and their kin, wherever they went."""

from __future__ import annotations

import os
import signal
import sys
import time

from queuectl_lib import contexts
from queuectl_lib.host import processes, sight
from queuectl_lib.host.spawn import Child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Set, Tuple

    from queuectl_lib.host.processes import Process
    from queuectl_lib.host.sight import Look
    from queuectl_lib.host.spawn import ChildProcess, Used

assert sys.platform != "win32"

PS_SECONDS = 2.0  # how far the start of a process that `ps` tells may be off (it tells whole seconds)


class Tree:
    """The processes of one attempt, wherever they went.

    Found by what they inherit and cannot shed by accident: the session of their
    watcher, the run file's descriptor, QUEUECTL_TOKEN and QUEUECTL_QUEUE in their
    environment, and descent from any of these. Once seen, a process is known by pid and start time.
    Who has only the descriptor, and was there before the attempt, has been handed it: a stranger.
    """

    def __init__(
        self, token: str, run_path: str, watcher: Callable[[], Optional[Tuple[Optional[int], float]]], queue: str = ""
    ) -> None:
        self.token = token
        self.queue = queue  # its identity, "" where that is not known
        self.since = 0.0  # monotonic: what was seen of its processes before does not count
        self.run_path = run_path
        self.watcher = watcher  # its pid, and when it was launched on the monotonic clock, as far as its run file tells
        self.first: Optional[int] = None  # when that began, as /proc counts, once seen there
        self.child: Optional[ChildProcess] = None
        self.known: Dict[int, str] = {}
        self.was_seen = False  # something of it lived, once we looked
        self.strangers: Dict[int, str] = {}  # the names of these
        self.asked: Set[Tuple[int, str]] = set()  # pid and start of who has been sent TERM
        self.is_blind = False  # nothing showed us any process, the last time

    def hold(self, child: ChildProcess) -> None:
        """Take *child*, just started, for the watcher."""
        self.child = child
        if processes.shows_nobody() and isinstance(child, Child):
            child.keep()  # then its number is all that there is to end its group by

    def resume(self, child: ChildProcess) -> None:
        """It runs already; only Windows starts it suspended."""

    def let_go(self) -> Used:
        """The attempt is over; nothing of ours holds what is left of it. What it has used (spawn.Child.used)."""
        if not isinstance(self.child, Child):
            return None, None
        self.child.let_go()
        return self.child.used()

    def signal(self, gently: bool) -> None:
        """TERM, once to each (and CONT, so that a stopped process hears it), or KILL to all of them.

        Asked again, it is for those that have come since; what a process that was asked and lives has started
        since may be its cleaning up, and is left to it.
        """
        table = self._look().table
        busy = {pid for pid, start in self.known.items() if (pid, start) in self.asked}
        for pid in sorted(self.known):
            start = self.known[pid]
            if not gently:
                processes.send_signal(pid, start, signal.SIGKILL)
            elif pid not in busy and table[pid].parent not in busy:
                processes.send_signal(pid, start, signal.SIGTERM)
                processes.send_signal(pid, start, signal.SIGCONT)
                self.asked.add((pid, start))
        if self.is_blind:
            self._signal_group(gently)

    def _signal_group(self, gently: bool) -> None:
        """Where nothing shows who there is: our child and its group, whose number stays its own until it is reaped."""
        if self.child is None or self.child.returncode is not None:
            return
        group = (self.child.pid, "")
        for number in (signal.SIGTERM, signal.SIGCONT) if gently else (signal.SIGKILL,):
            if not gently or group not in self.asked:
                with contexts.suppress(OSError):
                    os.killpg(self.child.pid, number)
        self.asked.add(group)

    def seems_alive(self) -> bool:
        """A cheap sign that something lives on: the process group of the watcher is not empty."""
        if self.child is None or getattr(self.child, "is_kept", False):
            return False
        try:
            os.killpg(self.child.pid, 0)
        except OSError:
            return False
        return True

    def members(self) -> List[int]:
        """The pids that live now, as far as they can be seen."""
        self._look()
        return sorted(self.known)

    def _look(self) -> Look:
        """See who lives now (known)."""
        look = sight.look(self.since)
        table = look.table
        self.is_blind = not processes.can_be_seen(table)
        found = {pid for pid, start in self.known.items() if pid in table and table[pid].start == start}
        if self.child is not None and self.child.returncode is None:
            found |= look.session(self.child.pid)  # not reaped, so nobody else has this pid or session
        if processes.has_proc():
            found |= look.carriers(self.token, self.queue)
            found |= self._holders(look, found)
        elif self.child is None:
            found |= self._group_of_watcher(table)
        found = look.with_descendants(found) - {os.getpid()}
        self.known = {pid: table[pid].start for pid in found}
        self.was_seen = self.was_seen or bool(found)
        return look

    def _holders(self, look: Look, found: Set[int]) -> Set[int]:
        """Who has the lock of the run file and is no stranger: not older than the attempt, nor started by one who is.

        Those *found* by another mark belong to it anyway.
        """
        table = look.table
        holders = look.holders(self.run_path) - found - {os.getpid()}
        first = self._first(table) if holders else 0
        older = {pid for pid in holders if int(table[pid].start) < first}
        others = holders & look.with_descendants(older)
        self.strangers = {pid: table[pid].name for pid in others}
        return holders - others

    def _first(self, table: Dict[int, Process]) -> int:
        """When the attempt began, as /proc counts; its watcher's start, or where nobody has seen that, not later."""
        if self.first is None:
            pid, launched = self.watcher() or (None, 0.0)
            if pid not in table or not self._carries(pid):
                return processes.ticks_of(launched)
            self.first = int(table[pid].start)
        return self.first

    def _group_of_watcher(self, table: Dict[int, Process]) -> Set[int]:
        """Where there is no /proc: the watcher that the run file names, if it began at that time, and its group."""
        pid, began = self.watcher() or (None, 0.0)
        if pid not in table:
            return set()
        leader = table[pid]
        age = time.time() - processes.seconds_of_ps(leader.start)
        if abs(time.monotonic() - began - age) > PS_SECONDS or leader.session != pid:
            return set()
        return {one for one, process in table.items() if process.session == leader.session}

    def _carries(self, pid: int) -> Optional[bool]:
        """True when *pid* has our token in its environment now; None where that cannot be told."""
        return sight.carries(pid, self.token, self.queue)

    def description(self) -> str:
        """Who is left, for `show`: pid and name of each."""
        table = self._look().table
        return ", ".join("pid %d (%s)" % (pid, table[pid].name) for pid in sorted(self.known))

    def left(self) -> str:
        """The same of an attempt that is over."""
        return self.description()

    def others(self) -> str:
        """Who else holds the lock, for people."""
        names = ["pid %d (%s)" % (pid, name) for pid, name in sorted(self.strangers.items())]
        return "%s, to which it handed its lock" % ", ".join(names) if names else "unknown processes"

    def leader_lives(self, pid: Optional[int]) -> Optional[bool]:
        """Whether the watcher of an orphan lives, whose *pid* means the same here as to itself (None: it is not known).

        None where it cannot be told. A /proc that hides processes (hidepid) shows each user his own.
        """
        if pid is None:
            return None
        if not processes.has_proc():
            table = processes.process_table()
            if pid not in table:
                return False if processes.can_be_seen(table) else None
            return True if self._group_of_watcher(table) else None
        carries = self._carries(pid)
        if carries or os.geteuid() == 0:
            return carries
        with contexts.suppress(OSError):
            if os.stat(self.run_path).st_uid == os.geteuid():
                return carries
        return None

    def end(self, seconds: float) -> str:
        """End them all: TERM, *seconds* of grace, KILL. Returns who resisted, "" if nobody."""
        kill_at = time.monotonic() + seconds
        self.signal(gently=True)
        while self.members():
            now = time.monotonic()
            if now > kill_at + processes.KILL_SECONDS:
                return self.description()
            if now > kill_at:
                self.signal(gently=False)
            time.sleep(0.02)
        return ""
