"""Who could start a job now: the workers that live, and why those that do may start nothing."""

from __future__ import annotations

from queuectl_lib import errors, values
from queuectl_lib.host import system
from queuectl_lib.store import roster, serving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

    from queuectl_lib.store.folder import Folder
    from queuectl_lib.values import Fields

START = ("worker", "start", "--background")


class Crew:
    """The supervisors and workers of one queue, as they are seen now."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        members = roster.members(folder)
        self.supervisors = [one for one in members if one["kind"] == "supervisor"]
        self.workers = [one for one in members if one["kind"] == "worker"]
        self.is_starting = any(one["kind"] == "starting" for one in members)
        self.paused = {one["name"]: one["pid"] for one in members if self._is_paused(one)}
        self.stopping = {one["name"] for one in members if self._is_stopping(one)}

    def _is_paused(self, member: Fields) -> bool:
        """True for one that is stopped (SIGSTOP) and seen to hold its life file: else its pid is somebody else's."""
        if not any(roster.pids_here([member])):
            return False
        from queuectl_lib.host import processes, sight  # which a queue without workers needs not

        if not processes.is_paused(member["pid"]):
            return False
        return sight.holds_lock(member["pid"], self.folder.life_path(member["name"]))

    def _is_stopping(self, member: Fields) -> bool:
        return bool(member.get("asked")) or roster.is_asked_to_stop(
            self.folder, str(member["supervisor"] or member["name"])
        )

    def serving(self, queue: str) -> List[Fields]:
        """The workers that start jobs of a queue, whatever else they do."""
        return [one for one in self.workers if serving.is_served(one.get("queues", ()), queue)]

    def able(self, queue: str) -> List[Fields]:
        """Those of them that can start one."""
        found = self.serving(queue)
        return [one for one in found if one["name"] not in self.paused and one["name"] not in self.stopping]

    def serves_both(self, queue: str, other: str) -> bool:
        """True where one that can start jobs of the one queue starts those of the *other*, too, or there is none."""
        able = self.able(queue)
        return not able or any(serving.is_served(one.get("queues", ()), other) for one in able)

    def why_not(self, queue: Optional[str] = None) -> Optional[Fields]:
        """Why nobody starts a job of *queue* (None: of any): reason, sentence and facts; None where somebody does."""
        alive = self.workers if queue is None else self.serving(queue)
        if [one for one in alive if one["name"] not in self.paused and one["name"] not in self.stopping]:
            return None
        if alive:
            return self._who_cannot(alive)
        if self.workers:
            text = "no worker that is alive serves the queue %s" % errors.printable(str(queue))
            return {"reason": "queue_not_served", "sentence": text, "queue": queue, "next": (*START, "--queue", queue)}
        return self._without_workers()

    def _who_cannot(self, alive: List[Fields]) -> Fields:
        """Why those that are there start nothing: they are paused, or stop."""
        stopped = [one for one in alive if one["name"] in self.paused]
        if stopped:
            return self._paused(stopped)
        names = [str(one["name"]) for one in alive]
        if not {one["supervisor"] for one in alive} & {one["name"] for one in self.supervisors}:
            text = "the supervisor is dead, and what workers it had end what runs and start nothing new"
            return {"reason": "workers_stopping", "sentence": text, "workers": names, "next": START}
        text = "%s to stop, and starts nothing new" if len(names) == 1 else "%s to stop, and start nothing new"
        who = "worker %s was asked" % names[0] if len(names) == 1 else "all %d workers were asked" % len(names)
        return {"reason": "workers_stopping", "sentence": text % who, "workers": names, "next": START}

    def _paused(self, stopped: List[Fields]) -> Fields:
        pids = [one["pid"] for one in stopped]
        kinds = {one["kind"] for one in stopped}
        kind = kinds.pop() if len(kinds) == 1 else "worker"
        who = "%s %s is" % (kind, stopped[0]["name"]) if len(pids) == 1 else "all %d %ss are" % (len(pids), kind)
        text = "%s paused (state T, pid %s), and %s nothing" % (who, pids_text(pids), starts_text(pids))
        wake = ("kill", "-CONT", *[str(pid) for pid in pids])
        return {"reason": "worker_paused", "sentence": text, "pids": pids, "next": wake}

    def _without_workers(self) -> Fields:
        """Why there is no worker at all."""
        stopped = [one for one in self.supervisors if one["name"] in self.paused]
        told = [one for one in self.supervisors if one.get("trouble")]
        if stopped:
            return self._paused(stopped)
        if told:
            trouble = cut(errors.printable(str(told[0]["trouble"])))
            text = "supervisor %s has no worker: %s; its log says more" % (told[0]["name"], trouble)
            return {"reason": "worker_refuses", "sentence": text, "trouble": trouble, "next": None}
        if self.supervisors and {one["name"] for one in self.supervisors} <= self.stopping:
            text = "the supervisor was asked to stop, and starts nothing new"
            return {"reason": "workers_stopping", "sentence": text, "workers": [], "next": START}
        if self.supervisors or self.is_starting:
            text = "a supervisor is alive, and its workers are about to start"
            return {"reason": "worker_starting", "sentence": text, "next": None}
        stays = self.folder.stays_since() is not None
        text = "no worker is alive" + (": they stay stopped until `worker start` is typed" if stays else "")
        return {"reason": "no_worker", "sentence": text, "next": START}

    def slots(self, queue: Optional[str] = None) -> Tuple[int, int]:
        """How many workers can start something, and how many jobs these run at once."""
        able = [one for one in self.workers if one["name"] not in self.paused and one["name"] not in self.stopping]
        able = able if queue is None else self.able(queue)
        return len(able), sum(max(1, one.get("slots", 1)) for one in able)

    def is_gone(self, worker: str) -> bool:
        """True where the worker that holds a job is known to be dead."""
        return not worker or not self.folder.is_alive(worker)

    def path_of(self, supervisor: str) -> Optional[str]:
        """The PATH on which the jobs of a supervisor look for programs, or of another where that one is gone.

        None where none of those that live has said.
        """
        names = [str(one["name"]) for one in self.supervisors]
        for name in sorted(names, key=lambda one: one == supervisor, reverse=True):
            path = self.folder.details_of(name).get("path")
            if isinstance(path, str):
                return path
        return None


MOST_CHARACTERS = 120  # of text that is not ours, in a sentence


def cut(text: str) -> str:
    """*text*, which is printable, not longer than MOST_CHARACTERS."""
    return values.shortened(text, MOST_CHARACTERS)


def printed(value: object) -> str:
    """Text that is not ours, for a sentence."""
    return cut(errors.printable(str(value)))


def pids_text(pids: List[int]) -> str:
    shown = ", ".join(str(pid) for pid in pids[:5])
    return shown + ", and %d more" % (len(pids) - 5) if len(pids) > 5 else shown


def starts_text(pids: List[int]) -> str:
    return "starts" if len(pids) == 1 else "start"


def wake(pid: int) -> Tuple[str, ...]:
    """What to type to wake one that is paused."""
    return ("kill", "-CONT", str(pid)) if 1 < pid <= system.MOST_PID else ()
