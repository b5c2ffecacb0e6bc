"""What `top` prints where nothing can be drawn: tables, again and again; or with --plain only the lines that are new.

These are read by screen readers and kept in logs: a line says all by itself, and nothing in it counts seconds.
"""

from __future__ import annotations

import sys
import time

from queuectl_lib import times, values
from queuectl_lib.commands import terminal, top_lines, top_tables
from queuectl_lib.jobs import local_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List

    from queuectl_lib.commands.top_tables import Line
    from queuectl_lib.commands.top_view import Section, View
    from queuectl_lib.commands.watching import Reader
    from queuectl_lib.values import Fields

LINES = 60  # of all tables, as far as there are jobs
WIDE = 200  # columns, where it is no terminal
SMALL = 10  # jobs of each sort with --plain


def repeat(reader: Reader, view: View, interval: float, is_plain: bool, is_once: bool) -> int:
    """Print what there is, again each *interval* (seconds) until Ctrl+C where it is not to be *is_once*."""
    known: List[str] = []
    told = ""
    most = SMALL if is_plain and not view.needs_more() else LINES
    while True:
        reader.read(most)
        if reader.trouble and reader.trouble != told:
            terminal.tell(reader.trouble)
        told = reader.trouble
        if is_plain:
            lines = list(plain(reader, view))
            new = [line for line in lines if line not in known]
            known = lines
        else:
            new = tables(reader, view) + ([] if is_once else [""])
        if not (reader.trouble and not is_plain):
            sys.stdout.write("".join(line + "\n" for line in new))  # nobody who reads it is the end
            sys.stdout.flush()
        if is_once:
            return 0
        time.sleep(interval)


def tables(reader: Reader, view: View) -> List[str]:
    """The same tables as on the screen, without colour."""
    columns = (terminal.columns() or WIDE) + 1
    encoding = sys.stdout.encoding or "utf-8"
    lines = top_lines.header(reader.facts, view, columns - 1, top_lines.HIGH, encoding)
    if terminal.columns() is None:
        lines[0][1] = ("  ", "")
    sections = view.sections(reader.facts, LINES, 1)
    reader.fill_in(sections)
    for section in sections:
        lines += [[], *top_tables.table(section, reader.facts, view, columns - 1, encoding)]
    if not sections:
        lines += [[(top_lines.nothing(reader.facts, view), "")]]
    return [text_of(top_lines.fitted(line, columns - 1)) for line in lines]


def for_programs(reader: Reader, view: View) -> Fields:
    """One look as JSON has it. Raises HostError."""
    from queuectl_lib.commands import top_json  # which people need not

    reader.read(LINES)
    sections = view.sections(reader.facts, LINES)
    reader.fill_in(sections)
    return top_json.value(reader.facts, sections)


def text_of(line: Line) -> str:
    return "".join(text for text, _ in line).rstrip()


# ---------------------------------------------------------------- only what is new


def plain(reader: Reader, view: View) -> Iterator[str]:
    """A sentence for each thing that is so now, the same as long as it stays so."""
    facts, encoding = reader.facts, sys.stdout.encoding or "utf-8"
    screen = local_time.Screen(facts["at"])
    counts = ["%s %d" % (state, count) for state, count in facts["counts"].items() if count]
    yield "jobs: %s" % (", ".join(counts) or "none")
    yield "workers: %d" % facts["workers"]
    if facts["stuck"]:
        yield "stuck: %s" % top_tables.shown(facts["stuck"]["sentence"], encoding)
        for line in facts["stuck"]["lines"]:
            yield "try: %s" % top_tables.shown(line, encoding)
    sections = view.sections(facts, 4 * (SMALL + 1))
    reader.fill_in(sections)
    for section in sections:
        for job in reversed(section.shown()) if section.name == "ends" else section.shown():
            parts = [part for part in parts_of(section, job, screen) if part]
            yield "%s: %s" % (NAMES[section.name], ", ".join(top_tables.shown(part, encoding) for part in parts))


NAMES = {"running": "running", "failures": "failed", "next": "next", "ends": "ended"}


def parts_of(section: Section, job: Fields, screen: local_time.Screen) -> List[str]:
    """What is said of a job, by times and not by ages."""
    name, command = str(job["id"]), str(job["command"])
    if section.name == "running":
        late = "longer than usual" if job["p95"] is not None and job["seconds"] > max(1.0, job["p95"]) else ""
        progress = values.progress_text(job["progress"]) if job.get("progress") else ""
        return [name, "since %s" % screen.text(job["started_at"]), late, progress, str(job.get("line") or command)]
    if section.name == "failures":
        again = "again at %s" % screen.text(job["next_run_at"]) if job["state"] == "failed" else ""
        return [name, str(job["state"]), "at %s" % screen.text(job["failed_at"]), again, str(job.get("says", "-"))]
    if section.name == "next":
        return [name, "due at %s" % screen.text(job["next_run_at"]), command]
    took = "-" if job["seconds"] is None else "after %s" % times.span_text(job["seconds"])
    return [name, str(job["verdict"]), took, "at %s" % screen.text(job["finished_at"]), command]
