"""The line of a failed attempt that tells most, looked for by its worker before it records the end."""

from __future__ import annotations

from queuectl_lib.jobs import signatures
from queuectl_lib.store import alike

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional

    from queuectl_lib.jobs.attempts import Outcome


def line_of(outcome: Outcome, paths: Dict[str, str]) -> str:
    """That line without what varies, "" where its output has none; *paths*: of the files of its streams."""
    tails = (
        tail(outcome.stderr, outcome.stderr_bytes, paths["err"]),
        tail(outcome.stdout, outcome.stdout_bytes, paths["out"]),
    )
    return signatures.normal(signatures.telling_line(*tails))


def tail(kept: Optional[bytes], size: int, path: str) -> bytes:
    """The end of a stream, from where it is."""
    if kept is not None:
        return kept[-signatures.TAIL_BYTES :]
    return alike.tail_of(path) if size else b""
