"""The processes of one attempt on Linux, macOS and their kin, wherever they went."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

from queuectl_lib.host import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Set, Tuple

    from queuectl_lib.host.processes import Process
    from queuectl_lib.host.spawn import ChildProcess

assert sys.platform != "win32"

PS_SECONDS = 2.0  # how far the start of a process that `ps` tells may be off (it tells whole seconds)


class Tree:
    """The processes of one attempt, wherever they went.

    Found by what they inherit and cannot shed by accident: the session of their
    watcher, the run file's descriptor, QUEUECTL_TOKEN and QUEUECTL_QUEUE in their
    environment, and descent from any of these. Once seen, a process is known by pid and start time.
    """

    def __init__(
        self, token: str, run_path: str, watcher: Callable[[], Optional[Tuple[int, float]]], queue: str = ""
    ) -> None:
        self.cookie = ("QUEUECTL_TOKEN=%s" % token).encode("ascii")
        self.queue = queue.encode("ascii")  # its identity, "" where that is not known
        self.run_path = run_path
        self.watcher = watcher  # its pid, and when it began on the monotonic clock, as far as its run file tells
        self.child: Optional[ChildProcess] = None
        self.known: Dict[int, str] = {}

    def hold(self, child: ChildProcess) -> None:
        """Take *child*, just started, for the watcher."""
        self.child = child

    def resume(self, child: ChildProcess) -> None:
        """It runs already; only Windows starts it suspended."""

    def let_go(self) -> None:
        """The attempt is over; nothing of ours holds what is left of it."""

    def signal(self, gently: bool) -> None:
        """TERM (and CONT, so that a stopped process hears it) or KILL to all of them."""
        for pid in self.members():
            processes.send_signal(pid, self.known[pid], signal.SIGTERM if gently else signal.SIGKILL)
            if gently:
                processes.send_signal(pid, self.known[pid], signal.SIGCONT)

    def seems_alive(self) -> bool:
        """A cheap sign that something lives on: the process group of the watcher is not empty."""
        if self.child is not None:
            with contextlib.suppress(OSError):
                os.killpg(self.child.pid, 0)
                return True
        return False

    def members(self) -> List[int]:
        """The pids that live now."""
        table = processes.process_table()
        found = {pid for pid, start in self.known.items() if pid in table and table[pid].start == start}
        if self.child is not None and self.child.returncode is None:
            leader = self.child.pid  # not reaped, so nobody else has this pid or session
            found |= {pid for pid, process in table.items() if leader in (pid, process.session)}
        if processes.has_proc():
            found |= {pid for pid in table if self._carries(pid)}
            found |= processes.holders(self.run_path, table)
        elif self.child is None:
            found |= self._group_of_watcher(table)
        found = processes.with_descendants(found, table) - {os.getpid()}
        self.known = {pid: table[pid].start for pid in found}
        return sorted(found)

    def _group_of_watcher(self, table: Dict[int, Process]) -> Set[int]:
        """Where there is no /proc: the watcher that the run file names, if it began at that time, and its group."""
        named = self.watcher()
        if named is None or named[0] not in table:
            return set()
        pid, began = named
        leader = table[pid]
        age = time.time() - processes.seconds_of_ps(leader.start)
        if abs(time.monotonic() - began - age) > PS_SECONDS or leader.session != pid:
            return set()
        return {one for one, process in table.items() if process.session == leader.session}

    def _carries(self, pid: int) -> bool:
        """True when *pid* has our cookie in its environment, and none of another queue (a copy has the same tokens)."""
        try:
            with open("/proc/%d/environ" % pid, "rb") as file:
                text = file.read()
        except OSError:
            return False
        if self.cookie not in text:  # as nearly always: spare the splitting
            return False
        words = text.split(b"\0")
        queues = [word[15:] for word in words if word.startswith(b"QUEUECTL_QUEUE=")]  # older versions set none
        return self.cookie in words and (not self.queue or queues in ([], [self.queue], [b""]))

    def description(self) -> str:
        """Who is left, for `show`: pid and name of each."""
        members = self.members()
        table = processes.process_table()
        return ", ".join("pid %d (%s)" % (pid, table[pid].name) for pid in members if pid in table)

    def leader_lives(self, pid_text: Optional[str]) -> bool:
        """True while the watcher of an orphan lives."""
        if not pid_text or not pid_text.isdigit():
            return True  # it has not begun to speak; its lock says that it lives
        pid = int(pid_text)
        if processes.has_proc():
            return self._carries(pid)
        return pid in processes.process_table()

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
