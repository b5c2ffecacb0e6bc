"""Jobs by their numbers, as they were found: the states in which they are now, their ids, and how many are in each."""

from __future__ import annotations

import itertools

from queuectl_lib import contexts
from queuectl_lib.errors import NoDatabase
from queuectl_lib.jobs import states as known
from queuectl_lib.store import opening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, Sequence

    from queuectl_lib.store.database import Database
    from queuectl_lib.store.selecting import Found

READ_ROWS = 10000  # in one read, as in store/selecting
STATE_OF = "SELECT seq, state FROM jobs WHERE seq IN (%s)"
AT_ONCE = 500  # an old SQLite takes 999 parameters


def states_of(database: Database, seqs: Sequence[int]) -> Dict[int, str]:
    """The state of each of these that is still there."""
    found: Dict[int, str] = {}
    for begin in range(0, len(seqs), READ_ROWS):
        with contexts.suppress(NoDatabase), database.reading() as connection:
            for place in range(begin, min(begin + READ_ROWS, len(seqs)), AT_ONCE):
                some = seqs[place : min(place + AT_ONCE, begin + READ_ROWS)]
                rows = connection.execute(STATE_OF % ", ".join("?" * len(some)), list(some))
                found.update({row["seq"]: row["state"] for row in rows})
    return found


IDS_OF = "SELECT seq, id FROM jobs WHERE seq IN (%s)"


def ids_of(database: Database, found: Iterator[Found]) -> Iterator[str]:
    """The ids of these, a few at a time."""
    while True:
        some = [seq for seq, _ in itertools.islice(found, AT_ONCE)]
        ids: Dict[int, str] = {}
        with contexts.suppress(NoDatabase), database.reading() as connection:
            rows = opening.rows(connection, IDS_OF % ", ".join("?" * len(some)), some)
            ids = {row["seq"]: opening.as_text(row["id"]) for row in rows}
        yield from [ids[seq] for seq in some if seq in ids]
        if len(some) < AT_ONCE:
            return


def counts(found: Iterator[Found]) -> Dict[str, int]:
    """How many of these are in each state, zeros too."""
    result = dict.fromkeys(known.STATES, 0)
    for _, state in found:
        result[state] = result.get(state, 0) + 1
    return result
