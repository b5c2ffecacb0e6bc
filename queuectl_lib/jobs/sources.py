"""Where jobs are read from: lines of a file, a pipe or a word, in flat memory."""

from __future__ import annotations

import itertools
import os

from queuectl_lib import errors, values
from queuectl_lib.errors import BadInput, HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Iterator, List, Optional, Tuple

LINE_BYTES = 16 * 1024 * 1024  # longest line of JSON Lines (an array may be longer)
BLOCK_BYTES = 64 * 1024  # of lines, read and decoded at once


class LineReader:
    """Reads lines of UTF-8 (with or without BOM) or of UTF-16 with BOM, counting them.

    No line is longer than ``line_bytes``, but an array that begins in the first, which `text` reads; None lifts that.
    """

    def __init__(self, source: Any, report: Callable[[int, int, int], None]) -> None:
        import codecs  # loaded already; the name is needed only here

        self.source = source
        self.report = report
        self.line_bytes: Optional[int] = LINE_BYTES
        self.number = 0
        self.done = 0
        self.total = source_size(source)
        self.begun = False  # a line that is not blank has come
        self.behind = b""  # what was read of the line behind the last block
        self.is_text = False  # from there on it is read without regard to lines
        self.has_begun_array = False  # in that line
        start = source.peek(3)[:3] if hasattr(source, "peek") else source.getvalue()[:3]
        if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            self.source = FromUtf16(source)
        elif start == codecs.BOM_UTF8:
            source.read(3)

    def blocks(self) -> Iterator[Tuple[int, List[str]]]:
        """Lines without their ends, as many as come at once, and the number of the first.

        Of what is wrong, those before it come first.
        """
        block = self._next_block()
        while block:
            lines, whole = decoded_lines(block)
            first = self.number + 1
            self.number += len(lines)
            if len(block) > LINE_BYTES:
                for number, line in enumerate(lines, first):
                    self._refuse_long(number, line.encode("utf-8"))
                    yield number, [line]
            else:
                yield first, lines
            if not whole:
                raise BadInput("line %d: not valid UTF-8: nothing was added" % (self.number + 1))
            self.begun = self.begun or not block.isspace()
            self.done += len(block)
            self.report(self.done, self.total, self.number)
            block = b"" if self.is_text else self._next_block()

    def text(self, first: str, lines: Iterable[str], blocks: Iterable[Tuple[int, List[str]]]) -> Iterator[str]:
        """All the text from the line *first* on, a part at a time; *lines* and *blocks* are what comes behind it."""
        import codecs  # loaded already

        self.is_text, self.line_bytes = True, None
        yield first
        for part in itertools.chain([lines], (block for _, block in blocks)):
            for line in part:
                yield "\n" + line
        decoder = codecs.getincrementaldecoder("utf-8")()
        end = "" if self.has_begun_array else "\n"  # of a line, held back: the last is no part of the text
        data = self.behind or self._read(BLOCK_BYTES)
        while True:
            try:
                text = end + decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                yield end + error.object[: error.start].decode("utf-8")
                number = self.number + error.object.count(b"\n", 0, error.start) + 1
                raise BadInput("line %d: not valid UTF-8: nothing was added" % number) from None
            end = "\n" * text.endswith("\n")
            yield text[: len(text) - len(end)]
            if not data:
                return
            self.done += len(data)
            self.number += data.count(b"\n")
            self.report(self.done, self.total, self.number)
            data = self._read(BLOCK_BYTES)

    def _next_block(self) -> bytes:
        """Lines that end, as many as there are without waiting for more; at the end what is left.

        A line that is too long is not read to its end.
        """
        parts = [self.behind]
        size = len(self.behind)
        start = self.behind.lstrip()[:1]
        while True:
            data = self._read(BLOCK_BYTES)
            start = start or data.lstrip()[:1]
            end = data.rfind(b"\n") + 1
            if end or not data:
                self.behind = data[end:]
                return b"".join(parts + [data[:end]])
            parts.append(data)
            size += len(data)
            if start == b"[" and not self.begun:
                self.has_begun_array, self.behind = True, b"".join(parts)
                return b""
            if self.line_bytes is not None and size > self.line_bytes:
                self._refuse_long(self.number + 1, b"".join(parts))
                self.line_bytes = None

    def _refuse_long(self, number: int, line: bytes) -> None:
        """Raise BadInput for a *line* that is too long, unless it begins an array that is all there is."""
        is_array = not self.begun and line.lstrip()[:1] == b"["
        if self.line_bytes is not None and len(line) > self.line_bytes and not is_array:
            raise BadInput("line %d is longer than %d bytes: nothing was added" % (number, self.line_bytes))
        self.begun = self.begun or not line.isspace()

    def _read(self, size: int) -> bytes:
        try:
            data: bytes = self.source.read1(size)
        except OSError as error:
            raise HostError("cannot read the jobs: %s" % error.strerror) from None
        return data


class FromUtf16:
    """A source of UTF-16 with BOM, read as UTF-8: a part at a time, for it may never end."""

    def __init__(self, source: Any) -> None:
        import codecs  # needed only here

        self.source = source
        self.decoder = codecs.getincrementaldecoder("utf-16")()

    def read1(self, size: int) -> bytes:
        """Up to *size* bytes of the source, b"" at its end only. Raises BadInput where it is not UTF-16."""
        data = None
        text = ""
        while data != b"" and not text:
            data = self.source.read1(size)
            try:
                text = self.decoder.decode(data, final=not data)
            except UnicodeDecodeError:
                raise BadInput("line 1: not valid UTF-16: nothing was added") from None
        return text.encode("utf-8")


def decoded_lines(block: bytes) -> Tuple[List[str], bool]:
    """The lines of *block*, of UTF-8, without their ends; False with those before the first that is not."""
    whole = True
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError as error:
        text = block[: block.rfind(b"\n", 0, error.start) + 1].decode("utf-8")
        whole = False
    lines = text.split("\n")  # not splitlines, which knows more ends than JSON does
    if not lines[-1]:
        lines.pop()
    return lines, whole


def source_size(source: Any) -> int:
    """Bytes in a regular file, 0 for what cannot tell."""
    try:
        return os.fstat(source.fileno()).st_size
    except (OSError, ValueError, AttributeError):
        return 0


def open_source(text: Optional[str], path: Optional[str]) -> Any:
    """What to read jobs from, as an open binary file."""
    if path is not None and path != "-":
        try:
            return open(path, "rb")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise BadInput("cannot read %s: %s" % (errors.shown(path), why)) from None
    if path == "-" or text == "-":
        return os.fdopen(os.dup(0), "rb")
    import io  # needed only for JSON on the command line

    return io.BytesIO(values.check_text(text, "JSON").encode("utf-8"))


def command_from_input() -> str:
    """The text on standard input, without the end of its last line. Raises BadInput, HostError."""
    import codecs  # loaded already

    try:
        with os.fdopen(os.dup(0), "rb") as source:
            data = source.read(BLOCK_BYTES * 16 + 1)
    except OSError as error:
        raise HostError("cannot read the command: %s" % error.strerror) from None
    if len(data) > BLOCK_BYTES * 16:
        raise BadInput("the command on standard input is too long: put it into a script file")
    is_utf16 = data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    try:
        text = data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput("the command on standard input is not valid UTF-%d" % (16 if is_utf16 else 8)) from None
    if not text or text.isspace():
        raise BadInput("standard input holds no command")
    return text.rstrip("\n")
