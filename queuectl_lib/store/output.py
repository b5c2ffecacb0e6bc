"""The output of attempts: where its bytes are, the end of it, and what is new in it."""

from __future__ import annotations

import os
import stat

from queuectl_lib import contexts, errors
from queuectl_lib.host import files, system
from queuectl_lib.jobs import states
from queuectl_lib.store import folder, opening, showing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

    from queuectl_lib.store.database import Database
    from queuectl_lib.values import Fields

CHUNK_BYTES = 64 * 1024  # of output that is read at once
JSON_BYTES = 1024 * 1024  # that JSON carries per stream
LEAST_BACK, LINE_BACK = 16 * 1024 * 1024, 64 * 1024  # how far the begin of the last lines is looked for: in all, a line

BYTES = {
    "stdout": "SELECT stdout FROM attempts WHERE id = ?",
    "stderr": "SELECT stderr FROM attempts WHERE id = ?",
}


class Output:
    """One output stream of one attempt, wherever it is kept: database or file."""

    def __init__(self, database: Database, attempt: Fields, stream: str) -> None:
        self.database = database
        self.attempt_id: int = attempt["id"]
        self.stream = stream
        self.is_kept = bool(attempt[stream])  # in the database
        self.blob: Optional[bytes] = None  # once it was read from there
        self.path = ""
        size = attempt[stream + "_bytes"]
        self.size: int = size if type(size) is int else len(self._kept()) if self.is_kept else 0
        if not self.is_kept and folder.is_token(attempt["token"]):
            path = database.folder.attempt_path(attempt["token"], stream[3:])
            with contexts.suppress(OSError):
                info = os.lstat(path)
                if stat.S_ISREG(info.st_mode):
                    self.path, self.size = path, info.st_size

    def read(self, offset: int, count: int) -> bytes:
        """Up to *count* bytes from *offset*."""
        if self.is_kept:
            return self._kept()[offset : offset + count] if offset < self.size else b""
        if not self.path:
            return b""
        try:
            with os.fdopen(files.open_private(self.path, os.O_RDONLY), "rb") as file:
                file.seek(offset)
                return file.read(count)
        except OSError:
            return b""  # it has just moved into the database, or may not be read

    def _kept(self) -> bytes:
        if self.blob is None:
            with self.database.reading() as connection:
                found = opening.rows(connection, BYTES[self.stream], (self.attempt_id,))
            value = found[0][0] if found and found[0][0] is not None else b""
            self.blob = value if isinstance(value, bytes) else str(value).encode("utf-8")
        return self.blob

    def tail(self, count: int) -> bytes:
        return self.read(max(0, self.size - count), count)

    def begin_of_last(self, lines: int) -> int:
        """Where the last *lines* begin, looked for from the end; not as far back as a line without end would lead."""
        least = max(0, self.size - max(LEAST_BACK, lines * LINE_BACK))
        place = self.size
        while lines and place > least:
            begin = max(least, place - CHUNK_BYTES)
            data = self.read(begin, place - begin)
            found = len(data) - (place == self.size and data.endswith(b"\n"))  # this one ends the last line
            while lines:
                found = data.rfind(b"\n", 0, found)
                if found < 0:
                    break
                lines -= 1
                place = begin + found + 1
            else:
                return place
            place = begin
        return place if lines else self.size


LINE_BYTES = 4096  # at the end, in which the last line is looked for


def pieces(output: Output) -> Iterator[bytes]:
    """All of it, from its beginning, in pieces that cut no character of UTF-8 in two."""
    offset = 0
    while True:
        data = output.read(offset, CHUNK_BYTES)
        if len(data) == CHUNK_BYTES:
            data = data[: data.rfind(b"\n") + 1] or data[: whole_characters(data)]
        if not data:
            return
        offset += len(data)
        yield data


def whole_characters(data: bytes) -> int:
    """How many bytes of *data* come before a character that its end may cut."""
    for back in range(1, min(4, len(data)) + 1):
        if data[-back] >= 0xC0:
            return len(data) - back
        if data[-back] < 0x80:
            break
    return len(data)


def with_output(database: Database, job: Fields, most: int) -> Fields:
    """*job* with up to *most* bytes of each attempt's output as text, and without what is internal."""
    for attempt in job["history"]:
        for stream in ("stdout", "stderr"):
            output = Output(database, attempt, stream)
            text = output.tail(most)
            attempt[stream] = system.output_text(text)
            attempt[stream + "_bytes"] = output.size
            if len(text) < output.size:
                attempt[stream + "_truncated"] = True
        for name in ("id", "job", "token"):
            attempt.pop(name, None)
    return job


def erased_words(erased: object) -> str:
    """What to say of an attempt that *erased* a part of its own output."""
    which = errors.printable(str(erased))
    return "the job erased a part of its %s, which it opened by name: --pipe-output avoids that" % which


class Follower:
    """Reads what is new in the output of a job, attempt after attempt.

    *number* chooses one attempt; without it begins the last one, and each that follows. Of what was there when the
    first look was taken only the last *lines* come (None: all). *begins* is told of each attempt before what it wrote.
    *of_all*: all attempts come, also those that had ended when the first look was taken.
    """

    lines: Optional[int] = None
    of_all = False

    def __init__(self, database: Database, identifier: str, number: Optional[int], streams: Sequence[str]) -> None:
        self.begins: Callable[[Fields], object] = lambda attempt: None
        self.database = database
        self.identifier = identifier
        self.number = number
        self.streams = streams
        self.offsets: Dict[str, int] = {}
        self.attempt: Optional[Fields] = None
        self.job: Fields = {}

    def news(self) -> Iterator[Tuple[str, bytes]]:
        """What came since the last call, in pieces, each with its stream. Raises QueueError if the job is gone."""
        is_first = not self.job
        self.job = showing.job(self.database, self.identifier)
        for attempt in self._wanted(is_first):
            if self.attempt is None or attempt["id"] != self.attempt["id"]:
                self.offsets = dict.fromkeys(self.streams, 0)
                if is_first and self.lines is not None:
                    for stream in self.streams:
                        self.offsets[stream] = Output(self.database, attempt, stream).begin_of_last(self.lines)
                self.begins(attempt)
            self.attempt = attempt
            for stream in self.streams:
                for piece in self._pieces(Output(self.database, attempt, stream), stream):
                    yield stream, piece

    def _wanted(self, is_first: bool) -> List[Fields]:
        """The attempts to look at now: the chosen one; the last; or those since the one at hand, or since the begin."""
        history: List[Fields] = self.job["history"]
        if self.number is not None:
            return [attempt for attempt in history if attempt["number"] == self.number]
        if self.attempt is None:
            return history[-1:] if is_first and not self.of_all else history
        known = [attempt["id"] for attempt in history]  # not by their numbers, which may be no numbers
        at_hand = self.attempt["id"]
        return history[known.index(at_hand) :] if at_hand in known else history[-1:]

    def _pieces(self, output: Output, stream: str) -> Iterator[bytes]:
        while True:
            data = output.read(self.offsets[stream], CHUNK_BYTES)
            if not data:
                return
            if len(data) == CHUNK_BYTES:
                data = data[: data.rfind(b"\n") + 1] or data  # whole lines, so that no character is cut in two
            self.offsets[stream] += len(data)
            yield data

    def ended(self) -> bool:
        """True when no more can come."""
        if self.number is not None and self.attempt is not None:
            return bool(self.attempt["outcome"] != states.RUNNING)
        return self.job["state"] in states.FINAL
