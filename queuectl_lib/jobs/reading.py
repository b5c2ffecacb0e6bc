"""Jobs as JSON and JSON Lines, read in flat memory; a mistake names its line."""

from __future__ import annotations

import json
import os
import re

from queuectl_lib import errors, values
from queuectl_lib.errors import BadInput, HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Iterator, List, Optional, Sequence, Tuple

    from queuectl_lib.jobs.fields import JobMaker

LINE_BYTES = 16 * 1024 * 1024  # longest line of JSON Lines (an array may be longer)
BLOCK_BYTES = 64 * 1024  # of lines, read and decoded at once
JSON_LEVELS = 900  # of lists and objects in each other: what every Python can read


def read_jobs(source: Any, report: Callable[[int, int, int], None]) -> Iterator[Tuple[object, object]]:
    """Pairs of line (and number in an array) and job: JSON Lines flat in memory, else all at once.

    *source* is an open binary file; *report* is told bytes read, bytes in all (0 where that is not known),
    and lines. Raises BadInput that names the line, HostError where the source cannot be read.
    """
    reader = LineReader(source, report)
    lines = reader.lines()
    for begin, first in lines:
        if not first.strip():
            continue
        if first.lstrip()[:1] == "{" and is_json(first):
            yield begin, read_line(first, begin)
            for number, line in lines:
                if line and not line.isspace():
                    yield number, read_line(line, number)
        else:
            yield from read_values(reader.rest(first, lines), begin)


def read_line(line: str, number: int) -> object:
    """What one line of JSON Lines says."""
    try:
        value = plain_object(line)
        if value is None:
            value = DECODER.decode(line)
        check_depth(value, line)
    except JSON_MISTAKES as error:
        raise json_refusal(error, number) from None
    return value


def plain_object(line: str) -> object:
    """The object that *line* is, read in the quickest way; None where only DECODER can tell.

    A key that comes twice is not seen in this way. But each key in the line, at whatever depth,
    has a colon behind it: where there are no more colons than keys in the object, none came
    twice. Those in its values do not count, unless escapes hide how many they are in the line.
    """
    try:
        value, end = PLAIN_DECODER.raw_decode(line)
    except JSON_MISTAKES:
        return None
    if type(value) is not dict or line[end:] not in ("", "\r"):
        return None
    colons = line.count(":")
    if colons != len(value) and "\\" not in line:
        colons -= sum(text.count(":") for text in value.values() if type(text) is str)
    return value if colons == len(value) else None


def read_values(text: str, begin: int) -> Iterator[Tuple[object, object]]:
    """Jobs of arrays and objects that go over several lines, one value after the other."""
    place, end, line = 0, 0, begin
    while True:
        place = WHITE_SPACE.match(text, end).end()  # type: ignore[union-attr]
        if place >= len(text):
            return
        line += text.count("\n", end, place)
        try:
            value, end = DECODER.raw_decode(text, place)
            check_depth(value, text[place:end])
        except json.JSONDecodeError as error:
            raise json_refusal(error, begin) from None
        except JSON_MISTAKES as error:
            raise json_refusal(error, line) from None
        jobs = value if isinstance(value, list) else [value]
        for number, job in enumerate(jobs, 1):
            yield "%d, job %d" % (line, number) if len(jobs) > 1 else line, job
        line += text.count("\n", place, end)


DECODER = json.JSONDecoder(
    object_pairs_hook=values.unique_keys, parse_constant=values.refuse_constant
)  # json.loads makes one a call
PLAIN_DECODER = json.JSONDecoder(parse_constant=values.refuse_constant)
WHITE_SPACE = re.compile(r"\s*")
JSON_MISTAKES = (ValueError, RecursionError, BadInput)


def json_refusal(error: BaseException, begin: int) -> BadInput:
    """What to say of a broken piece of JSON that began in line *begin* of the source."""
    place = "line %d" % begin
    if isinstance(error, json.JSONDecodeError):
        place = "line %d, column %d" % (begin + error.lineno - 1, error.colno)
        what = error.msg
    elif isinstance(error, RecursionError):
        what = "JSON is nested too deeply"
    elif isinstance(error, BadInput):
        what = str(error)
    else:
        what = "a number is too long"
    return BadInput("%s: %s: nothing was added" % (place, what))


def check_depth(value: object, text: str) -> None:
    """Raise RecursionError for JSON that is nested too deeply: Python 3.14 reads what others refuse."""
    if len(text) <= JSON_LEVELS:
        return
    if text.count("[") + text.count("{") <= JSON_LEVELS:
        return
    level: List[Any] = [value]
    for _ in range(JSON_LEVELS):
        parts = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list))]
        level = [inner for part in parts for inner in part]
    if level:
        raise RecursionError


def is_json(line: str) -> bool:
    """True where one line is a whole JSON value, so that the source is JSON Lines."""
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        return error.pos < len(line.rstrip())  # broken rather than unfinished: say so for this line
    except (ValueError, RecursionError):
        pass
    return True


class LineReader:
    """Reads lines of UTF-8 (with or without BOM) or of UTF-16 with BOM, counting them.

    No line is longer than ``line_bytes``, but an array that begins in the first; None lifts that.
    """

    def __init__(self, source: Any, report: Callable[[int, int, int], None]) -> None:
        import codecs  # loaded already; the name is needed only here
        import io  # needed only for what is not UTF-8

        self.source = source
        self.report = report
        self.line_bytes: Optional[int] = LINE_BYTES
        self.number = 0
        self.done = 0
        self.total = source_size(source)
        self.begun = False  # a line that is not blank has come
        self.behind = b""  # what was read of the line behind the last block
        start = source.peek(3)[:3] if hasattr(source, "peek") else source.getvalue()[:3]
        if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            try:
                self.source = io.BytesIO(source.read().decode("utf-16").encode("utf-8"))
            except UnicodeDecodeError:
                raise BadInput("line 1: not valid UTF-16: nothing was added") from None
        elif start == codecs.BOM_UTF8:
            source.read(3)

    def lines(self) -> Iterator[Tuple[int, str]]:
        """Each line with its number, without its end. Of what is wrong, those before it come first."""
        block = self._next_block()
        while block:
            text, whole = decoded_lines(block)
            may_be_long, next_number = len(block) > LINE_BYTES, self.number + 1
            for self.number, line in enumerate(text, next_number):
                if may_be_long:
                    self._refuse_long(self.number, line.encode("utf-8"))
                yield self.number, line
            if not whole:
                raise BadInput("line %d: not valid UTF-8: nothing was added" % (self.number + 1))
            self.begun = self.begun or not block.isspace()
            self.done += len(block)
            self.report(self.done, self.total, self.number)
            block = self._next_block()

    def rest(self, first: str, lines: Iterator[Tuple[int, str]]) -> str:
        """All the text from the line *first* on; *lines* are those behind it, of any length."""
        import io  # needed only for JSON of several lines

        self.line_bytes = None
        text = io.StringIO()  # a list of the lines would take several times as much
        text.write(first)
        for _, line in lines:
            text.write("\n" + line)
        return text.getvalue()

    def _next_block(self) -> bytes:
        """Lines that end, as many as there are without waiting for more; at the end what is left.

        A line that is too long is not read to its end.
        """
        parts = [self.behind]
        size = len(self.behind)
        while True:
            data = self._read(BLOCK_BYTES)
            end = data.rfind(b"\n") + 1
            if end or not data:
                self.behind = data[end:]
                return b"".join(parts + [data[:end]])
            parts.append(data)
            size += len(data)
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


def checked_rows(maker: JobMaker, jobs: Iterable[Tuple[object, object]]) -> Iterator[Tuple[object, Sequence[Any]]]:
    """Rows for the queue; a mistake names its line."""
    count = 0
    for line, fields in jobs:
        try:
            row = maker.row(fields)
        except BadInput as error:
            raise BadInput("line %s: %s: nothing was added" % (line, error)) from None
        count += 1
        yield line, row
    if not count:
        raise BadInput("no job was given: nothing was added")
