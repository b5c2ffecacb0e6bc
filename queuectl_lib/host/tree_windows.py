"""The processes of one attempt on Windows: a job object holds them all."""

from __future__ import annotations

import ctypes
import sys
import time
from ctypes import byref, c_uint32, c_void_p

from queuectl_lib.host import processes, windows

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from typing import Any, Callable, List, Optional, Tuple

    from queuectl_lib.host.spawn import Used

assert sys.platform == "win32"


class Tree:
    """The processes of one attempt: a job object holds them all, inside that of their worker.

    They end when their worker dies. What a finished attempt left running holds the
    job object from then on, and so keeps its name, by which `end` finds them.
    """

    def __init__(
        self, token: str, run_path: str, watcher: Callable[[], Optional[Tuple[Optional[int], float]]], queue: str = ""
    ) -> None:
        self.name = "queuectl-" + token
        self.handle: Any = None
        self.was_seen = False  # of no use here: no job outlives its worker
        self.since = 0.0  # nor is this: a job object tells who lives now

    def hold(self, child: subprocess.Popen[bytes]) -> None:
        """Raises OSError, and *child* is gone, where Windows refuses."""
        try:
            self.handle = windows.new_job_object(self.name)
            process = c_void_p(int(child._handle))  # type: ignore[attr-defined]
            if not windows.kernel32.AssignProcessToJobObject(self.handle, process):
                raise OSError("Windows does not let a command into a job object")
        except OSError:
            child.kill()
            child.wait()
            self._close()
            raise

    def resume(self, child: subprocess.Popen[bytes]) -> None:
        ctypes.windll.ntdll.NtResumeProcess(c_void_p(int(child._handle)))  # type: ignore[attr-defined]

    def let_go(self) -> Used:
        """The attempt is over: leave what is left of it alone, in possession of the job object. What it has used."""
        if not self.handle:
            return None, None
        used = windows.used_by(self.handle)
        left = self.members()
        if left:
            windows.limit_job_object(self.handle, windows.BREAKAWAY_OK)
        for pid in left:
            process = c_void_p(windows.kernel32.OpenProcess(c_uint32(0x40), 0, c_uint32(pid)))
            if process:
                own = c_void_p(windows.kernel32.GetCurrentProcess())
                windows.kernel32.DuplicateHandle(
                    own, self.handle, process, byref(c_void_p()), c_uint32(0), 0, c_uint32(2)
                )
                windows.kernel32.CloseHandle(process)
        self._close()
        return used

    def _close(self) -> None:
        if self.handle:
            windows.kernel32.CloseHandle(self.handle)
            self.handle = None

    def signal(self, gently: bool) -> None:
        """Windows has no way to ask: the tree ends at once."""
        if self.handle:
            windows.kernel32.TerminateJobObject(self.handle, c_uint32(1))

    def seems_alive(self) -> bool:
        """A sign that something lives on; here it is cheap to know."""
        return bool(self.members())

    def members(self) -> List[int]:
        """The pids that live now, less the console that Windows itself gave them."""
        if not self.handle:
            return []
        pids = windows.processes_of(self.handle)
        return [pid for pid in pids if windows.program_name(pid).lower() != "conhost.exe"]

    def description(self) -> str:
        """Who is left, for `show`: pid and name of each."""
        return ", ".join("pid %d (%s)" % (pid, windows.program_name(pid)) for pid in self.members())

    def left(self) -> str:
        """The same of an attempt that is over."""
        self.handle = c_void_p(windows.kernel32.OpenJobObjectW(c_uint32(0x4), 0, self.name))
        found = self.description()
        self._close()
        return found

    def others(self) -> str:
        return "unknown processes"

    def leader_lives(self, pid: Optional[int]) -> Optional[bool]:
        return False  # the tree ended with its worker

    def end(self, seconds: float) -> str:
        """End what an earlier attempt left running. Returns who resisted, "" if nobody."""
        self.handle = c_void_p(windows.kernel32.OpenJobObjectW(c_uint32(0xC), 0, self.name))
        self.signal(gently=True)
        deadline = time.monotonic() + processes.KILL_SECONDS
        while self.members() and time.monotonic() < deadline:
            time.sleep(0.02)
        rest = self.description()
        self._close()
        return rest
