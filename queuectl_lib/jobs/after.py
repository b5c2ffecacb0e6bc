"""What a job waits for of another, and what becomes of it when that one ends: rules without a database.

    parent ended as          after       after_any   after_fail
    completed                met         met         broken: not needed
    dead                     broken      met         met
    cancelled                broken      met         broken: not needed
    deleted while it waited  broken      broken      broken: not needed

A job with a broken edge is cancelled by the queue itself, with a reason that names the parent, and the root: the job
whose end was the first of all, for what comes after a cancelled one is cancelled, too. When the parent is put back,
what was cancelled because of it is put back, too (store/settling).
"""

from __future__ import annotations

import json

from queuectl_lib.jobs import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

    from queuectl_lib.values import Fields

SUCCESS, ANY_END, FAILURE = 1, 2, 3  # what an edge wants of its parent
KINDS = {"after": SUCCESS, "after_any": ANY_END, "after_fail": FAILURE}
KEYS = {wants: key for key, wants in KINDS.items()}
MET, OPEN, BROKEN = 0, 1, 2
DELETED = "deleted"  # by hand, before it had ended

MEETS = {SUCCESS: ("completed",), ANY_END: states.FINAL, FAILURE: ("dead",)}


def edge_state(wants: int, state: str) -> int:
    """What a parent in *state* makes of an edge that *wants* this of it."""
    if state in MEETS.get(wants, ()):
        return MET
    return BROKEN if state in states.FINAL or state == DELETED else OPEN


NOT_RUN, NOT_NEEDED = "not run", "not needed"
LIKE_NOT_NEEDED = '{"why": "not needed"%'  # a stored reason of that kind, to LIKE
ENDED = {"completed": "%s completed", "dead": "%s is dead", "cancelled": "%s was cancelled", DELETED: "%s was deleted"}


def why_not(wants: int, parent: str, state: str, parents_own: object) -> Tuple[str, str]:
    """Why a job is cancelled whose *parent* has ended in *state*: as JSON, and in words.

    *parents_own* is why that one was cancelled, where the queue itself has done it.
    """
    root, root_state, why, through = parent, state, NOT_RUN, ""
    above = reason_of(parents_own) if state == "cancelled" else None
    if wants == FAILURE:
        why = NOT_NEEDED
    elif above:
        why, root, root_state, through = above["why"], above["root"], above["root_state"], " (through %s)" % parent
    words = "%s: %s%s" % (why, ENDED.get(root_state, "%s") % root, through)
    facts = {"why": why, "parent": parent, "state": state, "root": root, "root_state": root_state}
    return json.dumps(facts), words


def says_not_needed(reason: object) -> bool:
    """True for a stored reason that is no failure: what the job was there for did not happen."""
    return isinstance(reason, str) and reason.startswith(LIKE_NOT_NEEDED[:-1])


FACTS = frozenset(("why", "parent", "state", "root", "root_state"))


def reason_of(text: object) -> Optional[Fields]:
    """The facts of a reason as it is stored, where it is one of ours: a parent's end."""
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.keys() >= FACTS else None
