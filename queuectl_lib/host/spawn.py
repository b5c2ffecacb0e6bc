"""Starting programs: a command in a session of its own, and ourselves in the background."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

if sys.platform != "win32":
    import fcntl

from queuectl_lib import contexts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

    Used = Tuple[Optional[float], Optional[int]]

    if sys.platform == "win32":
        ChildProcess = subprocess.Popen[bytes]
    else:
        ChildProcess = Union[subprocess.Popen[bytes], "Child"]


def start(arguments: List[str], cwd: str, environment: Dict[str, str], streams: Sequence[int]) -> ChildProcess:
    """Start a program in a session of its own, whose descriptors from 0 on are *streams*. Not on Windows."""
    if sys.platform == "win32":
        raise NotImplementedError
    lifted: List[int] = []
    try:
        streams = out_of_the_way(streams, lifted)
        try:
            return Child(spawn(arguments, cwd, environment, streams))
        except NotImplementedError:  # an old C library
            pass
        return subprocess.Popen(
            arguments,
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            cwd=cwd,
            env=environment,
            start_new_session=True,
            close_fds=False,
            preexec_fn=lambda: [os.dup2(fd, number) for number, fd in enumerate(streams) if number > 2],
        )
    finally:
        for fd in lifted:
            os.close(fd)


def out_of_the_way(streams: Sequence[int], lifted: List[int]) -> List[int]:
    """*streams*, but copies of those that stand where another one is to be; the copies are added to *lifted*."""
    found = list(streams)
    for number, fd in enumerate(found):
        if 2 < fd < len(found):
            if sys.platform != "win32":
                found[number] = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
            lifted.append(found[number])
    return found


def spawn(arguments: List[str], cwd: str, environment: Dict[str, str], streams: Sequence[int]) -> int:
    """The pid of a program started in a session of its own. Raises NotImplementedError where that cannot be said.

    Half of what subprocess.Popen costs. The program gets no descriptors but its
    *streams*: none of ours is inheritable (prepare).
    """
    if sys.platform == "win32" or not hasattr(os, "posix_spawn"):
        raise NotImplementedError
    here = HERE[0] if HERE else os.open(".", os.O_RDONLY)
    try:
        os.chdir(cwd)
        return os.posix_spawn(
            arguments[0],
            arguments,
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(streams)],
            setsid=True,
            setsigmask=(),
            setsigdef=ALL_SIGNALS,
        )
    finally:
        os.fchdir(here)
        if not HERE:
            os.close(here)


# A job is freed from what a worker ignores or holds back. All: of any other, the C library asks the kernel first.
if sys.platform == "win32":
    ALL_SIGNALS: List[int] = []
else:
    ALL_SIGNALS = sorted(set(map(int, signal.valid_signals())) - {signal.SIGKILL, signal.SIGSTOP})
HERE: List[int] = []  # the directory of a process that starts many, and stays in it


def prepare() -> None:
    """Let this process start jobs, and stay in the directory where it is.

    No job is to inherit a descriptor of it: multiprocessing leaves one that can be.
    """
    if sys.platform != "win32":
        HERE.append(os.open(".", os.O_RDONLY))
    for entry in os.listdir("/dev/fd") if os.path.isdir("/dev/fd") else range(256):
        if int(entry) > 2:
            with contexts.suppress(OSError):
                os.set_inheritable(int(entry), False)


def without_resource_tracker() -> None:
    """Let multiprocessing start no process of its own beside those that it spawns.

    Its resource tracker unlinks semaphores and shared memory that a killed process leaves, and there are none here.
    It would cost each supervisor 20 ms and 6 MB, and hold its log, and so its disk, longer than it lives itself.
    """
    if sys.platform != "win32":
        from multiprocessing import resource_tracker  # which only a supervisor has

        tracker: Any = resource_tracker
        tracker.getfd = nothing_to_track


def nothing_to_track() -> int:
    """Where a spawned process would send what is to be tracked: a pipe that nobody reads. Raises OSError."""
    if not NOWHERE:
        NOWHERE.extend(os.pipe())
    return NOWHERE[1]


NOWHERE: List[int] = []


RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, bytes
ABOVE_OWN, RSS_BLUR = 1.02, 1024 * 1024  # the kernel counts pages in batches per core


class Child:
    """A child process by its pid: as much of subprocess.Popen as an Attempt needs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: Optional[int] = None
        self.usage: Any = None  # of it and all that it waited for, once it is reaped
        self.is_kept = False  # when it has ended, it stays: so long its number, and its group's, is nobody else's

    def keep(self) -> None:
        """Do not reap it when it has ended, where the system tells of its end all the same (Linux)."""
        self.is_kept = sys.platform == "linux"

    def let_go(self) -> None:
        """Reap it, if it has ended."""
        if self.is_kept:
            self.is_kept = False
            self.poll()

    def poll(self) -> Optional[int]:
        """The exit code once it has ended, negative the signal that ended it."""
        if sys.platform == "win32":
            raise NotImplementedError
        if self.is_kept and self.returncode is None:
            return self._peek()
        if self.returncode is None:
            try:
                pid, status, self.usage = os.wait4(self.pid, os.WNOHANG)
            except (ChildProcessError, ImportError):  # gone untold (wait4 loads a module): its watcher's note decides
                pid, status = self.pid, signal.SIGKILL
            if pid:
                self.returncode = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return self.returncode

    def used(self) -> Used:
        """Its CPU seconds, and the bytes of the largest process that it waited for; negative: at the most so many.

        Nothing is known where a signal ended it: then it has not waited for all. Until the program begins it has our
        memory (vfork), and that counts for it: so what is not clearly above our own peak tells no more than a bound.
        """
        if sys.platform == "win32" or self.usage is None or self.returncode is None or self.returncode < 0:
            return None, None
        peak = self.usage.ru_maxrss * RSS_UNIT
        return self.usage.ru_utime + self.usage.ru_stime, peak if is_above_own(peak) else -peak

    def _peek(self) -> Optional[int]:
        """The same, and it stays to be reaped."""
        if sys.platform == "linux":
            with contexts.suppress(ChildProcessError):
                found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found is None:
                    return None
                return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
        self.is_kept = False
        return self.poll()


def is_above_own(peak: int) -> bool:
    """True where *peak* bytes are clearly more than this process ever had, which is asked of large ones alone."""
    if sys.platform != "win32" and peak > OWN_PEAK[0]:
        import resource  # as wait4 has

        OWN_PEAK[0] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT * ABOVE_OWN + RSS_BLUR
    return peak > OWN_PEAK[0]


OWN_PEAK = [0.0]  # bytes, and what the kernel may count too little, when it was asked last: it only grows


def detached(command: List[str], environment: Dict[str, str], log: int) -> subprocess.Popen[bytes]:
    """Start a process that no terminal, shell or parent holds on to."""
    if sys.platform == "win32":
        # A console of its own without a window: without any (DETACHED_PROCESS) each worker,
        # and many a program that a job starts, would open a window.
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
        try:
            return subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                creationflags=flags | subprocess.CREATE_BREAKAWAY_FROM_JOB,
            )
        except PermissionError:  # the job object we are in lets nobody out
            return subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, creationflags=flags
            )
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )


@contexts.contextmanager
def unheard(wanted: bool = True) -> Iterator[None]:
    """What is started meanwhile says nothing, where that is *wanted*: its standard error is lost. Raises OSError."""
    if not wanted:
        yield
        return
    kept = os.dup(2)
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


CREATE_SUSPENDED = 0x4  # of CreateProcess


def on_path(program: str, environment: Dict[str, str]) -> Optional[str]:
    """The file that the bare name *program* means by the PATH of *environment*."""
    import shutil  # with three compressors, a third of a megabyte: needed only for lists without a path

    return shutil.which(program, path=environment.get("PATH", os.defpath))


def find_program(program: str, cwd: str, environment: Dict[str, str]) -> Optional[str]:
    """The file that *program* means in a job on Windows: from its directory or PATH, with or without .exe and such."""
    if not os.path.dirname(program):
        return on_path(program, environment)
    path = os.path.join(cwd, program)
    endings = [""] + environment.get("PATHEXT", ".COM;.EXE;.BAT;.CMD").split(";")
    return next((path + ending for ending in endings if os.path.isfile(path + ending)), None)


def priority_class(nice: int) -> int:
    """What Windows has for a *nice* of POSIX."""
    if sys.platform != "win32" or not nice:
        return 0
    if nice < 0:
        return subprocess.ABOVE_NORMAL_PRIORITY_CLASS
    return subprocess.BELOW_NORMAL_PRIORITY_CLASS if nice < 15 else subprocess.IDLE_PRIORITY_CLASS


def launch_suspended(
    command: Union[str, List[str]], cwd: str, environment: Dict[str, str], stdout: int, stderr: int, flags: int = 0,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a command on Windows, suspended; its Tree puts it into its job object, then lets it run."""
    if sys.platform != "win32":
        raise NotImplementedError
    if isinstance(command, str):
        shell = environment.get("COMSPEC") or "cmd.exe"
        command = '"%s" /d /s /c "%s"' % (shell, command)
    else:  # CreateProcess would look with our PATH, from our directory, and only for .exe
        command = [find_program(command[0], cwd, environment) or command[0]] + command[1:]
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=cwd,
        env=environment,
        creationflags=flags | CREATE_SUSPENDED | subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW,
    )
