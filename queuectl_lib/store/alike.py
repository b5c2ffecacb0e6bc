"""Failures by what they have in common: each noted with its signature, in the transaction that records it.

A worker loads this with its first failure, and a success pays nothing.
"""

from __future__ import annotations

import os
import sqlite3

from queuectl_lib.host import files
from queuectl_lib.jobs import signatures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queuectl_lib.jobs.attempts import Outcome
    from queuectl_lib.jobs.signatures import Signed

MOST_ERRORS = 5000  # rows of errors: then the one longest unseen goes

SIGN_JOB = "UPDATE jobs SET signature = ? WHERE seq = ?"

def sign(connection: sqlite3.Connection, outcome: Outcome, end: str) -> None:
    """Sign the job of an attempt that has failed, at *end*."""
    verdict = signatures.verdict(outcome.kind, outcome.exit_code, outcome.signal)
    said = getattr(outcome, "said_signature", None)
    signed = signatures.sign(verdict, outcome.error_line, outcome.error, said)
    connection.execute(SIGN_JOB, (signed.signature, outcome.claim.seq))
    outcome.signature = signed.signature
    count(connection, signed, end)


SEEN_AGAIN = "UPDATE errors SET last_at = ?, failures = failures + 1 WHERE signature = ?"
SEEN_FIRST = "INSERT INTO errors (signature, text, first_at, last_at, failures) VALUES (?, ?, ?, ?, 1)"
HOW_MANY = "SELECT count(*) FROM errors"
DELETE_LONGEST_UNSEEN = (
    "DELETE FROM errors WHERE rowid IN (SELECT rowid FROM errors WHERE signature <> ? ORDER BY last_at LIMIT ?)"
)


def count(connection: sqlite3.Connection, signed: Signed, end: str) -> None:
    """Count one failure more of this group, which ended at *end*."""
    if connection.execute(SEEN_AGAIN, (end, signed.signature)).rowcount:
        return
    connection.execute(SEEN_FIRST, (signed.signature, signed.text, end, end))
    more = connection.execute(HOW_MANY).fetchone()[0] - MOST_ERRORS
    if more > 0:
        connection.execute(DELETE_LONGEST_UNSEEN, (signed.signature, more))


def tail_of(path: str) -> bytes:
    """The end of an output file, as much of it as is looked at; nothing where it cannot be read."""
    try:
        if files.is_irregular(path):  # which to open might never return
            return b""
        with os.fdopen(files.open_private(path, os.O_RDONLY), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - signatures.TAIL_BYTES))
            return file.read(signatures.TAIL_BYTES)
    except OSError:
        return b""
