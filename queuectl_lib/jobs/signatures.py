"""Which failures are alike: of what an attempt wrote the line that tells most, and that line without what varies.

Pure. Two messages that differ in a word are two groups, two that differ in numbers alone are one: a job that knows
better says itself how its failures are to be grouped. No pattern here can go back over more than a word, so that no
output costs much more than an ordinary line of its length.
"""

from __future__ import annotations

import functools
import re

from queuectl_lib.host import digests
from queuectl_lib.jobs import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Pattern, Tuple

TAIL_BYTES = 4096  # of a stream that are looked at
LINE_CHARACTERS = 1000
NORMAL_CHARACTERS = 200
DIGITS = 10
SAID = "said"  # the verdict of failures that the job itself has named

# A line that says no more than that something before it went wrong.
TRAILERS = (
    r"(?:g|mingw32-)?make(?:\[\d{1,9}\])?: (?:\*\*\* |(?:Leaving|Entering) directory)",
    r"ninja: build stopped|collect2: error: ld returned|compilation terminated",
    r"srun: (?:error: .{0,300}Exited with exit code|Terminating|Job step aborted)|slurmstepd\b",
    r"npm (?:ERR!|error)\s{0,20}(?:$|A complete log of this run|.{0,300}-?debug(?:-\d{1,9})?\.log|code ELIFECYCLE"
    r"|errno |Exit status )",
    r"Command (?:exited with|terminated by)",
    r"(?:Killed|Terminated)$",
    r"[-=_*~#.^|+<>\s]{1,1000}$",  # a ruler, or what points at a place in the line above
    r"\s{0,20}\d{0,9}\s{1,20}\|",  # a line of source
    r"LINE \d{1,9}: ",
    r"\s{1,20}(?:at [\w.$<>/]{1,300}\(|\.\.\. \d{1,9} (?:more|common frames))",  # where Java was
    r"\s{1,20}Is the server running",
)


@functools.lru_cache(maxsize=None)
def trailer() -> Pattern[str]:
    return re.compile("|".join(TRAILERS))


def telling_line(stderr_tail: object, stdout_tail: object, error: Optional[str] = None) -> str:
    """The last line of an attempt that is no trailer: of its stderr, else of its stdout, else the *error*.

    The tails are text or UTF-8; of each no more than the last TAIL_BYTES are looked at. "" where there is none.
    """
    for tail in (stderr_tail, stdout_tail):
        found = last_telling(tail)
        if found:
            return found
    return (error or "")[:LINE_CHARACTERS]


def last_telling(tail: object) -> str:
    """The same of one stream."""
    if isinstance(tail, bytes):
        tail = tail[-TAIL_BYTES:].decode("utf-8", "replace")
    text = tail[-TAIL_BYTES:] if isinstance(tail, str) else ""
    for line in reversed(text.splitlines()):
        line = plain(line[:LINE_CHARACTERS]).rstrip()
        if line and not trailer().match(line):
            return line.strip()
    return ""


# ---------------------------------------------------------------- without what varies

ESCAPES = r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)?|.)|[\x00-\x08\x0e-\x1f\x7f]"
MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
# What a word must hold for a pattern to be tried at all; the pattern; the mark. In this order.
MARKS = (
    ("://", r"\b[A-Za-z][A-Za-z0-9+.-]{1,15}://[^\s\"'<>]{1,1000}", "<url>"),
    ("@", r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}(?![\w@])", "<mail>"),
    (
        "-",
        r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}(?![0-9A-Za-z])",
        "<id>",
    ),
    (
        "-",
        r"(?<!\d)\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)?(?:Z| ?[+-]\d\d:?\d\d)?(?!\d)",
        "<time>",
    ),
    (
        ":",
        r"(?<![\w:])(?:(?:%s) {1,2}\d{1,2} )?\d{1,2}:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?[AP]M)?(?![\w:])" % MONTHS,
        "<time>",
    ),
    (".", r"(?<![\w.])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d{1,5})?(?![\w.]\w)", "<ip>"),
    (
        ":",
        r"(?<![\w:.])(?=[0-9A-Fa-f:]{0,39}:[0-9A-Fa-f]{0,4}:)(?=[A-Fa-f:]{0,39}\d)[0-9A-Fa-f:]{3,39}(?![\w:])",
        "<ip>",
    ),
    ("0x", r"\b0x[0-9A-Fa-f]{1,32}(?![0-9A-Za-z])", "<hex>"),
    ("", r"(?<![0-9A-Za-z])(?=[A-Fa-f]{0,64}\d)(?=\d{0,64}[A-Fa-f])[0-9A-Fa-f]{7,64}(?![0-9A-Za-z])", "<hex>"),
    ("/", r"(?<![\w./~-])(?:~|\.{1,2})?/(?:[^\s/\"':;,()]{0,255}/){0,64}(?=[^\s/])", "<path>/"),
    ("\\", r"(?<![\w\\])(?:[A-Za-z]:)?\\(?:[^\s\\\"':;,()]{0,255}\\){0,64}(?=[^\s\\])", "<path>/"),
    ("/", r"(?<![\w./~>-])(?:[\w.+-]{1,100}/){1,20}(?=[\w+-]{1,100}\.[A-Za-z])", "<path>/"),
    ("", r"\d{1,40}(?:\.\d{1,40})?", "<n>"),
)
RUNS = r"(<(?:url|mail|id|time|ip|hex|n)>)(?:[ ,.:;/_x-]{0,3}\1){1,1000}"


@functools.lru_cache(maxsize=None)
def marks() -> List[Tuple[str, Pattern[str], str]]:
    return [(needs, re.compile(pattern), mark) for needs, pattern, mark in MARKS]


@functools.lru_cache(maxsize=None)
def others() -> Tuple[Pattern[str], Pattern[str], Pattern[str]]:
    return re.compile(ESCAPES), re.compile(RUNS), re.compile(r"\s{1,1000}")


def plain(line: str) -> str:
    """*line* without what colours it."""
    return line if line.isprintable() else others()[0].sub("", line)


def normal(line: str) -> str:
    """*line* as all that are like it are written: what varies is a mark; at most NORMAL_CHARACTERS."""
    text = plain(line[:LINE_CHARACTERS])
    for needs, pattern, mark in marks():
        if needs in text:
            text = pattern.sub(mark, text)
    _, runs, blanks = others()
    return blanks.sub(" ", runs.sub(r"\1", text)).strip()[:NORMAL_CHARACTERS]


# ---------------------------------------------------------------- how it ended


def verdict(kind: str, exit_code: object, signal: object) -> str:
    """How a failed attempt ended, in the words of a signature; *kind* as states.ENDINGS has it."""
    if kind in (states.TIMED_OUT, states.LOST):
        return kind
    if isinstance(signal, str) and signal:
        return "signal " + (signal[3:] if signal.startswith("SIG") else signal)
    return "cannot start" if exit_code is None else "exit %s" % exit_code


def signature(verdict: str, line: str) -> str:
    """Ten hex digits, the same for all failures that are alike."""
    return digest("%s|%s" % (verdict, normal(line)))


def digest(text: str) -> str:
    return digests.sha256(text.encode("utf-8", "surrogatepass"))[:DIGITS]


class Signed:
    """One failure by its group: the *signature*, and the *text* that people see of it."""

    def __init__(self, signature: str, text: str) -> None:
        self.signature = signature
        self.text = text


# What the queue says of an end that its verdict says as well.
PLAIN = r"(?:exit code <n>(?: \([a-z ]+\))?|killed by .*|timed out.*)\Z"


def sign(verdict: str, line: Optional[str], error: object, said: Optional[str] = None) -> Signed:
    """Of a failure with this *verdict*; *line* of its output in normal form ("" or None: none), the queue's *error*."""
    if said:
        return Signed(digest("%s|%s" % (SAID, said)), "%s: %s" % (SAID, said))
    if line:
        return Signed(digest("%s|%s" % (verdict, line)), "%s: %s" % (verdict, line))
    words = normal(error) if isinstance(error, str) else ""
    text = verdict
    if words and not re.match(PLAIN, words):  # what the queue says is all that is known, or what the job has said
        text = words if words.startswith(verdict) else "%s: %s" % (verdict, words)
    return Signed(digest("%s|%s" % (verdict, words)), text)
