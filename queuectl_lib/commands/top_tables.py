"""The tables of `top`: a section of the screen as lines, a job each, which say in few cells what matters. Pure."""

from __future__ import annotations

from queuectl_lib import errors, times, values
from queuectl_lib.commands import layout, top_view
from queuectl_lib.jobs import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Sequence, Tuple

    from queuectl_lib.commands.top_view import Section, View
    from queuectl_lib.values import Fields

    Line = List[Tuple[str, str]]  # text and style: "", "bold", "dim", "chosen", or a state, whose colour it has

MOST_CHARACTERS = 400  # of one text of a job
COMMAND_CELLS, PROGRESS_CELLS, BAR_CELLS = 40, 28, 12
NARROW, SHORT = 78, 8  # columns below which a bar is so short, and stands alone
WIDE = 100  # columns from which on a running job has its worker and command beside what it wrote last
HEADINGS = {
    "running": ("RUNNING", "FOR", "USUAL", "PROGRESS", "WORKER", "COMMAND", "LAST LINE"),
    "failures": ("FAILED", "STATE", "AGO", "AGAIN", "REASON"),
    "next": ("NEXT", "DUE", "COMMAND"),
    "ends": ("ENDED", "AGO", "TOOK", "HOW", "COMMAND"),
}
SPARE = {  # what goes where the terminal is narrow, the first of them first
    "running": ("WORKER", "COMMAND", "PROGRESS", "USUAL"),
    "failures": ("AGAIN", "AGO"),
    "next": (),
    "ends": ("TOOK", "AGO"),
}


def shown(text: object, encoding: str = "utf-8") -> str:
    """A text of a job, safe for a terminal that takes *encoding*, and not too long."""
    found = errors.printable(str(text)[:MOST_CHARACTERS].replace("\t", " ")).strip()
    return found if found.isascii() else found.encode(encoding, "backslashreplace").decode(encoding)


def lasting(seconds: Optional[float]) -> str:
    """A length of time that goes on, in whole seconds: 7s, 4m12s, 2h5m."""
    if seconds is None:
        return "-"
    return "%ds" % max(0, seconds) if seconds < 100 else times.span_text(seconds)


def bar(seconds: float, median: Optional[float], p95: Optional[float], cells: int = BAR_CELLS) -> str:
    """How long a job runs against its kind: [####:..|] with a mark at the median, and at the 95th percentile."""
    if median is None or p95 is None:
        return ""
    whole = max(seconds, p95, 0.001)
    drawn = ["#" if place < int(seconds / whole * cells) else "." for place in range(cells)]
    drawn[min(cells - 1, int(median / whole * cells))] = ":"
    drawn[min(cells - 1, int(p95 / whole * cells))] = "|"
    return "[%s] %s" % ("".join(drawn), "<1s" if median < 1 else "~" + lasting(median))


def table(section: Section, facts: Fields, view: View, room: int, encoding: str) -> List[Line]:
    """The heading of a section, which says how many there are, and a line for each job that is shown of it."""
    headings, jobs = list(HEADINGS[section.name]), section.shown()
    rows = [CELLS[section.name](job, facts, encoding) for job in jobs]
    if section.name == "running" and room < NARROW:
        for row, job in zip(rows, jobs):
            row[2] = bar(job["seconds"], job["median"], job["p95"], SHORT).partition(" ")[0]
    if section.name == "running" and room < WIDE:  # what wrote nothing says what it is
        rows = [[*row[:4], row[6] or "$ " + row[5]] for row in rows]
        headings = headings[:4] + headings[6:]
    full = [i for i in range(len(headings)) if i == len(headings) - 1 or any(row[i] for row in rows)]
    headings, rows = [headings[i] for i in full], [[row[i] for i in full] for row in rows]
    lines, kept = layout.fitted([headings, *rows], room - 2, SPARE[section.name])
    more = how_many(section, facts, view)
    found: List[Line] = [[("  ", ""), ("  ".join(lines[0]).rstrip(), "bold"), ("  " + more, "dim")]]
    for job, cells in zip(jobs, lines[1:]):
        is_chosen = view.chosen == (section.name, top_view.key_of(section.name, job))
        found.append(row_line(section.name, job, [headings[i] for i in kept], cells, is_chosen))
    return found


def how_many(section: Section, facts: Fields, view: View) -> str:
    total = top_view.totals(facts).get(section.name)
    if view.filter or view.states:
        return "(%d of %d looked at)" % (len(section.jobs), section.looked)
    return "({:,} of {:,})".format(section.rows, total) if total is not None and total > section.rows else ""


def row_line(name: str, job: Fields, headings: Sequence[str], cells: Sequence[str], is_chosen: bool) -> Line:
    """One job; the chosen one has a mark before it, and is shown reversed as a whole."""
    gap = " " * layout.GAP
    if is_chosen:
        return [("> " + gap.join(cells), "chosen")]
    line: Line = [("  ", "")]
    for heading, cell in zip(headings, cells):
        style = ""
        if heading in ("USUAL", "FOR") and name == "running" and job["p95"] is not None:
            style = "dead" if job["is_long"] else "failed" if job["seconds"] > max(1.0, job["p95"]) else ""
        elif heading == "STATE" or (heading == "HOW" and job["verdict"] in states.STATES):
            style = str(job["state"] if heading == "STATE" else job["verdict"])
        elif heading == "HOW":
            style = "failed"
        line += [(cell, style), (gap, "")]
    return line[:-1]


def running_cells(job: Fields, facts: Fields, encoding: str) -> List[str]:
    progress = values.progress_text(job["progress"]) if job.get("progress") else ""
    return [
        shown(job["id"], encoding),
        lasting(job["seconds"]).rjust(5),
        bar(job["seconds"], job["median"], job["p95"]),
        layout.cut(shown(progress, encoding), PROGRESS_CELLS),
        shown(job["worker"], encoding),
        layout.cut(shown(job["command"], encoding), COMMAND_CELLS),
        shown(job.get("line", ""), encoding),
    ]


def ago_text(moment: object, facts: Fields) -> str:
    at = facts["at"]
    return lasting(at - times.seconds_or(moment, at))


def failure_cells(job: Fields, facts: Fields, encoding: str) -> List[str]:
    again = due_text(job["next_run_at"], facts) if job["state"] == "failed" else ""
    reason = shown(job.get("says", "-"), encoding)
    return [shown(job["id"], encoding), shown(job["state"], encoding), ago_text(job["failed_at"], facts), again, reason]


def due_text(moment: object, facts: Fields) -> str:
    """in 5m; since 7s where it is due already."""
    seconds = times.seconds_or(moment, facts["at"]) - facts["at"]
    return "in %s" % lasting(seconds) if seconds > 0 else "since %s" % lasting(-seconds)


def next_cells(job: Fields, facts: Fields, encoding: str) -> List[str]:
    return [shown(job["id"], encoding), due_text(job["next_run_at"], facts), shown(job["command"], encoding)]


def end_cells(job: Fields, facts: Fields, encoding: str) -> List[str]:
    took = "-" if job["seconds"] is None else times.span_text(job["seconds"])
    how, command = shown(job["verdict"], encoding), shown(job["command"], encoding)
    return [shown(job["id"], encoding), ago_text(job["finished_at"], facts), took, how, command]


CELLS: Dict[str, Callable[[Fields, Fields, str], List[str]]] = {
    "running": running_cells,
    "failures": failure_cells,
    "next": next_cells,
    "ends": end_cells,
}
