"""The lines of `top`, from facts and what is wanted of them: parts of text, each in a style. Pure, for any terminal.

Each text of a job goes through top_tables.shown, and no line takes more cells than there are.
"""

from __future__ import annotations

from queuectl_lib.commands import layout, top_tables, top_view
from queuectl_lib.jobs import local_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Tuple

    from queuectl_lib.commands.top_tables import Line
    from queuectl_lib.commands.top_view import Section, View
    from queuectl_lib.values import Fields

NARROW, LOW, HIGH = 60, 16, 30  # columns; lines, above which there is room for gaps between sections


# ---------------------------------------------------------------- the screen


def screen(facts: Fields, view: View, size: Tuple[int, int], fill_in: Optional[Callable[[List[Section]], None]] = None,
           encoding: str = "utf-8") -> List[Line]:  # fmt: skip
    """Exactly as many lines as *size* (columns, lines) has. *fill_in* is given the sections before they are drawn."""
    columns, height = size
    room = columns - 1  # what is written into the last cell of a line may not stay there
    if view.page == "help":
        lines = help_lines(room)
    else:
        lines = header(facts, view, room, height, encoding)
        gap = int(height >= HIGH)
        sections = view.sections(facts, height - len(lines) - 1 - gap, gap)
        if fill_in:
            fill_in(sections)
        for section in sections:
            lines += [[]] * gap + top_tables.table(section, facts, view, room, encoding)
        if not sections:
            lines += [[], [(nothing(facts, view), "dim")]]
    lines = lines[: height - 1]
    lines += [[] for _ in range(height - 1 - len(lines))] + [footer(facts, view, room, encoding)]
    return [fitted(line, room) for line in lines[-height:]]


def nothing(facts: Fields, view: View) -> str:
    if view.filter or view.states:
        return "no job that is looked at fits"
    return "no jobs yet" if not any(facts["counts"].values()) else "nothing runs, waits, or has ended of late"


def fitted(line: Line, room: int) -> Line:
    """*line* in so many cells: its end goes."""
    found, left = [], room
    for text, style in line:
        text = layout.cut(text[: left * layout.LOOKED_AT + 1], left) if left > 0 else ""
        found.append((text, style))
        left -= layout.cells(text)
    return found


def header(facts: Fields, view: View, room: int, height: int, encoding: str) -> List[Line]:
    """Where and when, how many jobs in each state, who works at which pace, and what is wrong."""
    clock = local_time.text(facts["at"])[11:] if room >= NARROW else local_time.text(facts["at"])[11:19]
    clock = ("paused at %s" if view.is_paused else "%s") % clock
    path = top_tables.shown(facts["database"], encoding)
    path = layout.cut_within(path, max(layout.NARROWEST, room - len(clock) - 2))
    space = " " * max(2, room - layout.cells(path) - len(clock))
    lines: List[Line] = [[(path, "bold"), (space, ""), (clock, "failed" if view.is_paused else "")]]
    lines.append(counts_line(facts["counts"], room))
    lines.append([(pace_text(facts), "")])
    if view.trouble:
        text = top_tables.shown("this is of %s: %s" % (local_time.text(facts["at"])[11:19], view.trouble), encoding)
        lines += [[(part, "dead")] for part in wrapped(text, room)[: 2 if height < LOW else 4]]
    elif facts["stuck"]:
        wrong = wrapped(top_tables.shown(facts["stuck"]["sentence"], encoding), room)[: 1 if height < LOW else 3]
        style = "failed" if facts["counts"]["processing"] else "dead"
        lines += [[(text, style)] for text in wrong]
        for text in facts["stuck"]["lines"][: int(height >= LOW)]:
            lines.append([("  try: " + top_tables.shown(text, encoding), "")])
    return lines


def counts_line(counts: Dict[str, int], room: int) -> Line:
    """So many jobs in each state; where the terminal is narrow, only of those that have any."""
    words = {"processing": "running"}
    line: Line = []
    for state in ("processing", "pending", "failed", "dead", "completed", "cancelled"):
        text = "{:,} {}".format(counts[state], words.get(state, state))
        line += [(text, state if counts[state] else "dim"), ("  ", "")]
    if sum(len(text) for text, _ in line[:-1]) > room:
        line = [part for place, part in enumerate(line) if line[place // 2 * 2][1] != "dim"]
    return line


def pace_text(facts: Fields) -> str:
    slots = facts["slots"]
    workers = "1 worker" if facts["workers"] == 1 else "%d workers" % facts["workers"]
    text = workers + (" (%d at once)" % slots if slots > facts["workers"] else "")
    late = facts["lately"]
    pace = ("about {:,} a minute end" if late["is_more"] else "{:,} ended in a minute").format(late["ended"])
    text += ", " + pace + (", {:,} failed".format(late["failed"]) if late["failed"] else "")
    return text + (", about %s left" % left_text(facts["left"]) if facts["left"] is not None else "")


def left_text(seconds: float) -> str:
    from queuectl_lib.reports import estimate

    return estimate.length_text(seconds)


def wrapped(text: str, room: int) -> List[str]:
    """*text* in lines of *room* cells, between words where that can be."""
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and layout.cells(lines[-1]) + 1 + layout.cells(word) > room:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines


def footer(facts: Fields, view: View, room: int, encoding: str) -> Line:
    """A question, what is being typed, what has happened, the chosen job, or which keys there are."""
    if view.question:
        return [(top_tables.shown("%s %s? y/n" % view.question, encoding), "bold")]
    if view.typing is not None:
        return [("/%s" % top_tables.shown(view.typing, encoding), "bold"), (" ", "chosen")]
    if view.message:
        return [(top_tables.shown(view.message, encoding), "bold")]
    job = view.chosen_job(facts)
    if job and not view.page:
        name = "%s " % job["name"] if job.get("name") else ""
        return [(top_tables.shown("%s: %s%s" % (job["id"], name, job["command"]), encoding), "dim")]
    said = ['only "%s"' % top_tables.shown(view.filter, encoding)] if view.filter else []
    said += ["only %s" % ", ".join(view.states)] if view.states else []
    said += ["what runs: %s" % top_view.SORTS[view.sort]] if view.sort else []
    said += ["q ends, ? tells the keys" if view.has_keys else "Ctrl+C ends"]
    return [("  ".join(said), "dim")]


KEYS = (
    ("j k, arrows", "choose a job; with page up and down ten further"),
    ("Enter", "show it: its fields, its attempts, the end of its output"),
    ("l", "follow its output; Ctrl+C comes back"),
    ("c", "cancel it, r requeue it: y does it, any other key does not"),
    ("/", "only jobs with this text in id, command, name, state or worker; Esc: all"),
    ("s", "sort what runs: as added, longest first, against the usual time"),
    ("space", "keep this picture, or go on"),
    ("Ctrl+L", "draw all of it again"),
    ("q", "end"),
)
MARKS = (
    "USUAL: [####:..|] how long it runs; : is the median of its kind, | what 95 of 100 do not exceed.",
    "A terminal on which this program was killed (kill -9): tput rmcup; reset",
)


def help_lines(room: int) -> List[Line]:
    lines: List[Line] = [[("keys of top", "bold")]]
    for key, text in KEYS:
        for number, part in enumerate(wrapped(text, room - 13)):
            lines.append([(("" if number else key).ljust(13), "bold"), (part, "")])
    for text in MARKS:
        lines += [[(part, "")] for part in wrapped(text, room)]
    return lines
