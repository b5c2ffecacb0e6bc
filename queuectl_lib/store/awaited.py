"""The jobs that somebody waits for: which they are, in which states, and what is said of those that have ended."""

from __future__ import annotations

from queuectl_lib import contexts
from queuectl_lib.errors import NoDatabase
from queuectl_lib.jobs import after, states
from queuectl_lib.store import finding, numbered, opening, roster

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Optional, Sequence, Set

    from queuectl_lib.store.database import Database
    from queuectl_lib.store.selecting import Selection
    from queuectl_lib.values import Fields


class Awaited:
    """Jobs by their numbers, with the state of each as it was last seen."""

    def __init__(self, database: Database, found: Dict[int, str], names: Optional[Dict[int, str]] = None) -> None:
        self.database = database
        self.found = found
        self.names = names  # their ids, where the call names them
        self.gone: Set[int] = set()  # deleted before anybody saw how they ended
        self.open: List[int] = [seq for seq, state in found.items() if state in states.HOLDING]

    def look(self) -> List[int]:
        """Look at those that are open; the numbers of those that have ended since. Raises HostError."""
        now = numbered.states_of(self.database, self.open)
        before, self.open = self.open, []
        ended = []
        for seq in before:
            if seq not in now:
                self.gone.add(seq)
            else:
                self.found[seq] = now[seq]
            if now.get(seq) in states.HOLDING:
                self.open.append(seq)
            else:
                ended.append(seq)
        return ended

    def counts(self) -> Dict[str, int]:
        """How many are in each state, zeros too, without those that are gone."""
        return numbered.counts(pair for pair in self.found.items() if pair[0] not in self.gone)

    def ended(self) -> List[int]:
        """The numbers of all that are final, or gone."""
        still = set(self.open)
        return [seq for seq in self.found if seq not in still]

    def ids(self) -> List[str]:
        """The ids of all, as far as they can still be told."""
        if self.names is not None:
            return list(self.names.values())
        return list(numbered.ids_of(self.database, ((seq, "") for seq in self.found)))

    def not_completed(self) -> Iterator[Fields]:
        """Id and state of each that has not completed though it should, by number; then of those that are gone."""
        seqs = sorted(seq for seq, state in self.found.items() if state != "completed" and seq not in self.gone)
        for fields in of(self.database, seqs):
            if not fields["not_needed"]:
                yield {"id": fields["id"], "state": self.found[fields["seq"]]}
        for seq in sorted(self.gone):
            yield {"id": self.names[seq] if self.names else None, "state": "deleted"}

    def failed(self) -> List[int]:
        """The numbers of those that are dead or cancelled."""
        return [seq for seq, state in self.found.items() if state in states.REQUEUED and seq not in self.gone]


OPEN = "SELECT seq, state FROM jobs INDEXED BY jobs_open WHERE state = ? AND state <> 'completed'"


def all_open(database: Database) -> Awaited:
    """All that waits or runs now, less the job that calls."""
    found: Dict[int, str] = {}
    own = roster.calling_job(database)
    with contexts.suppress(NoDatabase), database.reading() as connection:
        connection.execute("BEGIN")  # of one moment: what goes from state to state is in none else, or in two
        for state in states.HOLDING:
            found.update((row["seq"], row["state"]) for row in opening.rows(connection, OPEN, (state,)))
    found.pop(own or 0, None)
    return Awaited(database, dict(sorted(found.items())))


def of_ids(database: Database, ids: Sequence[str]) -> Awaited:
    """Those with these ids. Raises QueueError where there is no such job."""
    found: Dict[int, str] = {}
    names: Dict[int, str] = {}
    if ids:
        with finding.no_job_without_database(ids), database.reading() as connection:
            for identifier in ids:
                head = finding.head(connection, identifier)
                found[head["seq"]], names[head["seq"]] = head["state"], identifier
    return Awaited(database, found, names)


def selected(database: Database, selection: Selection) -> Awaited:
    """What the selection means now, less the job that calls: it would wait for itself."""
    from queuectl_lib.store import selecting  # which few calls need

    found = dict(selecting.find(database, selection))
    found.pop(roster.calling_job(database) or 0, None)
    return Awaited(database, found)


ENDED = "SELECT seq, id, state, exit_code, last_error, signature, reason FROM jobs WHERE seq IN (%s)"


def of(database: Database, seqs: Sequence[int]) -> Iterator[Fields]:
    """Of each of these that is still there: seq, id, state, exit_code, last_error, signature, and *not_needed*.

    The last is true of one that was cancelled since what it was there for did not happen.
    """
    for begin in range(0, len(seqs), numbered.AT_ONCE):
        some = list(seqs[begin : begin + numbered.AT_ONCE])
        rows: List[Fields] = []
        with contexts.suppress(NoDatabase), database.reading() as connection:
            found = opening.rows(connection, ENDED % ", ".join("?" * len(some)), some)
            rows = [opening.without_bytes(row) for row in found]
        for row in sorted(rows, key=lambda row: some.index(row["seq"])):
            reason = row.pop("reason")
            yield dict(row, not_needed=row["state"] == "cancelled" and after.says_not_needed(reason))
