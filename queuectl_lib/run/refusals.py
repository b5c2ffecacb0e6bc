"""Results that the database refuses by themselves, by a constraint or a trigger: put apart, told, and tried again.

One that can not be recorded holds up no other, nor the next claim. It stays as evidence on the disk, as that
of a running job does, so whoever comes when its worker has left finds what became of it, and tries again.
"""

from __future__ import annotations

import contextlib
import time

from queuectl_lib.run import concluding, pace
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterator, List, Sequence, Tuple

    from queuectl_lib.jobs.attempts import Claim, Outcome
    from queuectl_lib.settings import Settings
    from storage import Queue

MOST_APART = 100  # of one worker: while so many wait to be recorded, it starts no job


class Refusals:
    """What the database takes of the worker *name*, and what it refuses."""

    def __init__(self, queue: Queue, name: str, say: Callable[[str], None]) -> None:
        self.queue = queue
        self.name = name
        self.say = say
        self.apart: List[Outcome] = []
        self.pause = 0.0
        self.retry_at = 0.0  # monotonic

    def exchange(
        self, outcomes: Sequence[Outcome], want: int, settings: Settings
    ) -> Tuple[List[Outcome], List[Claim], bool]:
        """Queue.exchange; where it is refused for the sake of one of *outcomes*, one after the other. Raises HostError.

        What is refused alone as well is put apart.
        """
        try:
            return self.queue.exchange(self.name, outcomes, want, time.time(), settings)
        except opening.Refused:
            if not outcomes:
                raise
        lost: List[Outcome] = []
        for outcome in outcomes:
            try:
                lost += self.queue.exchange(self.name, [outcome], 0, time.time(), settings)[0]
            except opening.Refused as error:
                self.put_apart(outcome, str(error))
        claims: List[Claim] = []
        more = False
        if want and not self.are_many():
            with contextlib.suppress(opening.Refused):  # it was for the sake of the claim: told by the next
                _, claims, more = self.queue.exchange(self.name, [], want, time.time(), settings)
        return lost, claims, more

    def put_apart(self, outcome: Outcome, why: str) -> None:
        """Keep an outcome for later, and say so."""
        if outcome in self.apart:  # the database has failed behind it
            return
        self.apart.append(outcome)
        self.say("job %s %s; not recorded: %s; trying again" % (outcome.claim.id, concluding.sentence(outcome), why))
        if len(self.apart) == MOST_APART:
            self.say("%d results are refused: no job is started until one of them is recorded" % MOST_APART)
        self.wait()

    def wait(self) -> None:
        """Until the next try, ever longer."""
        self.pause = min(max(0.5, self.pause * 2), pace.TROUBLE_SECONDS)
        self.retry_at = time.monotonic() + self.pause

    def try_again(self, settings: Settings) -> Iterator[Tuple[Outcome, bool]]:
        """Each that is taken now, and whether its claim was lost. Raises HostError."""
        if not self.apart or time.monotonic() < self.retry_at:
            return
        self.wait()
        for outcome in self.apart[:]:
            try:
                lost = self.queue.exchange(self.name, [outcome], 0, time.time(), settings)[0]
            except opening.Refused:
                continue
            self.apart.remove(outcome)
            self.pause = 0.0
            yield outcome, bool(lost)

    def left_unrecorded(self, ended: List[Outcome]) -> List[Outcome]:
        """Say of each that is left, and of each of *ended*, what it was; all of them. For a worker that leaves."""
        left = ended + self.apart
        for outcome in left:
            self.say("job %s %s; left unrecorded" % (outcome.claim.id, concluding.sentence(outcome)))
        return left

    def are_many(self) -> bool:
        return len(self.apart) >= MOST_APART

    def others(self, outcomes: List[Outcome]) -> List[Outcome]:
        """Those of *outcomes* that are not apart."""
        return [outcome for outcome in outcomes if outcome not in self.apart] if self.apart else outcomes
