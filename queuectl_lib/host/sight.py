"""One look at all processes of this host: who there is, with which token, and who holds which lock.

To look costs the more the more processes there are, and each attempt that is being ended has to, several times. So
within `TOGETHER` all of them share a look; but nobody is shown what was seen before the moment that matters to him.
"""

from __future__ import annotations

import os
import re
import time

from queuectl_lib import contexts
from queuectl_lib.host import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, List, Optional, Set, Tuple

TOKEN, QUEUE = b"QUEUECTL_TOKEN=", b"QUEUECTL_QUEUE="


class Look:
    """What was seen from *began* (monotonic) on; environments and open files are looked at when they are asked for."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.table = processes.process_table()
        self.sessions: Dict[int, List[int]] = {}
        self.children: Dict[int, List[int]] = {}
        for pid, process in self.table.items():
            self.sessions.setdefault(process.session, []).append(pid)
            self.children.setdefault(process.parent, []).append(pid)
        self._marked: Optional[List[Tuple[int, List[bytes]]]] = None
        self._open: Optional[Dict[str, Set[int]]] = None

    def session(self, leader: int) -> Set[int]:
        """The processes in the session of *leader*, and that itself where it lives."""
        return {pid for pid in [leader, *self.sessions.get(leader, ())] if pid in self.table}

    def carriers(self, token: str, queue: str) -> Set[int]:
        """Who has *token* and *queue* in its environment."""
        if self._marked is None:
            texts = [(pid, environment(pid) or b"") for pid in self.table]
            self._marked = [(pid, marks(text)) for pid, text in texts if TOKEN in text]
        return {pid for pid, words in self._marked if are_marks_of(words, token, queue)}

    def holders(self, path: str) -> Set[int]:
        """Who holds the lock of the run file *path*."""
        if self._open is None:
            self._open = {}
            for pid in self.table:
                for link in run_files_of(pid):
                    self._open.setdefault(link, set()).add(pid)
        return {pid for pid in self._open.get(path, ()) if holds_lock(pid, path)}

    def with_descendants(self, found: Iterable[int]) -> Set[int]:
        """*found* and everything that descends from it."""
        result = set(found)
        fresh = list(result)
        while fresh:
            for child in self.children.get(fresh.pop(), ()):
                if child not in result:
                    result.add(child)
                    fresh.append(child)
        return result


def environment(pid: int) -> Optional[bytes]:
    """The environment of *pid*; none where it is gone, None where that cannot be told."""
    try:
        with open("/proc/%d/environ" % pid, "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""
    except OSError:
        return None


def marks(environment: bytes) -> List[bytes]:
    """What of an environment tells of an attempt."""
    return [word for word in environment.split(b"\0") if word.startswith((TOKEN, QUEUE))]


def are_marks_of(words: List[bytes], token: str, queue: str) -> bool:
    """True for the token, and for no other queue (a copy has the same tokens): older versions set none."""
    queues = [word[len(QUEUE) :] for word in words if word.startswith(QUEUE)]
    return TOKEN + token.encode("utf-8") in words and (not queue or queues in ([], [queue.encode("utf-8")], [b""]))


def carries(pid: int, token: str, queue: str) -> Optional[bool]:
    """True where *pid* has these in its environment now, None where that cannot be told."""
    text = environment(pid)
    if text == b"" and processes.linux_process(str(pid)):  # `exec` gives it one last of all
        return None
    return None if text is None else are_marks_of(marks(text), token, queue)


def run_files_of(pid: int) -> Set[str]:
    """The paths of the run files that *pid* has open."""
    return {path for path in map(target, links_of(pid)) if path.endswith(".run")}


def links_of(pid: int) -> List[str]:
    """A link for each file that *pid* has open."""
    try:
        return ["/proc/%d/fd/%s" % (pid, fd) for fd in os.listdir("/proc/%d/fd" % pid)]
    except OSError:
        return []


def target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def holds_lock(pid: int, path: str) -> bool:
    """True when *pid* has the locked description itself: who only reads the file is a bystander."""
    for link in links_of(pid):
        with contexts.suppress(OSError):
            if target(link) == path and os.path.samefile(link, path):  # it may be a path of another mount namespace
                with open(link.replace("/fd/", "/fdinfo/"), encoding="ascii") as file:
                    if re.search(r"^lock:.*FLOCK.*WRITE", file.read(), re.M):
                        return True
    return False


class Together:
    """While it is entered, those who look share what is seen."""

    def __init__(self) -> None:
        self.is_entered = False
        self.look: Optional[Look] = None

    def __enter__(self) -> None:
        self.is_entered = True

    def __exit__(self, *_: object) -> None:
        self.is_entered, self.look = False, None


class Alone:
    """Each looks for himself."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


TOGETHER, ALONE = Together(), Alone()


def look(since: float) -> Look:
    """What there is to see, and nothing that was seen before *since* (monotonic)."""
    if not TOGETHER.is_entered:
        return Look()
    if TOGETHER.look is None or TOGETHER.look.began <= since:
        TOGETHER.look = Look()
    return TOGETHER.look
