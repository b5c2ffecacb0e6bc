"""The tables of a report: kinds of jobs now and before, what died of the same, what runs, what failed last."""

from __future__ import annotations

from queuectl_lib import times, values
from queuectl_lib.jobs import local_time
from queuectl_lib.reports import charts, history, markup
from queuectl_lib.reports import seen as seen_room

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional

    from queuectl_lib.reports.seen import KindSeen, Seen
    from queuectl_lib.values import Fields

MOST_ROWS = 50
COMPARED = 5  # durations that both times must have
CHANGED = 1.5  # so many times as long is worth a word
LINE_CHARACTERS = 200


def section(title: str, note: str, content: str) -> str:
    said = '<p class="note">%s</p>' % markup.told(note) if note else ""
    return "<section><h2>%s</h2>%s%s</section>" % (markup.html_text(title), said, content)


def nothing(text: str) -> str:
    return '<p class="finding">%s</p>' % markup.html_text(text)


# ---------------------------------------------------------------- kinds


def kinds(seen: Seen, share: bool) -> str:
    """What each kind did, beside the same length of time before; with *share* derived ones have no names."""
    now, before = seen_room.by_kind(seen.detail), seen_room.by_kind(seen.before)
    looked = sum(one.runs for one in now.values())
    ended = seen.total("complete") + seen.total("fail")
    ordered = sorted(now.items(), key=lambda pair: (-pair[1].runs, pair[0]))
    if not ordered:
        return section("Kinds of jobs", "", nothing("Nothing ended in this time."))
    factor = ended / float(max(1, looked))
    rows = []
    for place, (kind, one) in enumerate(ordered[:MOST_ROWS]):
        shown = kind if one.is_named or not share else "unnamed %d" % (place + 1)
        rows.append([markup.html_text(shown), *cells_of(one, factor), *compared(one, before.get(kind))])
    notes = ["Failed, median and p95 of each kind; before: the same length of time before that."]
    if looked < ended:
        text = "By %s that lie evenly among them; runs are reckoned from these."
        notes.append(text % markup.some_of(looked, ended, "attempts"))
    if len(ordered) > MOST_ROWS:
        notes.append(markup.some_of(MOST_ROWS, len(ordered), "kinds, those that ran most") + ".")
    headings = ["kind", "runs", "failed", "median", "p95", "median before", "failed before", "change"]
    return section("Kinds of jobs", " ".join(notes), markup.table("", headings, rows, (1, 2, 3, 4, 5, 6)))


def cells_of(one: KindSeen, factor: float) -> List[str]:
    runs = markup.number(one.runs * factor)
    told = [charts.span(history.median(one.seconds)), charts.span(history.p95(one.seconds))]
    return [runs, markup.percent(one.failed, one.runs), *told]


def compared(now: KindSeen, before: Optional[KindSeen]) -> List[str]:
    """The median and the failures of before, and what has changed, in a word."""
    if before is None or not before.runs:
        return ["-", "-", "new"]
    middle, other = history.median(now.seconds), history.median(before.seconds)
    words = []
    if middle and other and min(len(now.seconds), len(before.seconds)) >= COMPARED:
        if middle / other >= CHANGED:
            words.append("%.1f times as long" % (middle / other))
        elif other / middle >= CHANGED:
            words.append("%.1f times as quick" % (other / middle))
    if min(now.runs, before.runs) >= COMPARED and now.failed * before.runs > 2 * before.failed * now.runs:
        words.append("fails more")
    return [charts.span(other), markup.percent(before.failed, before.runs), ", ".join(words) or "-"]


# ---------------------------------------------------------------- the dead


def dead(seen: Seen, share: bool) -> str:
    if not seen.dead:
        return section("Dead jobs by what they died of", "", nothing("No job is dead."))
    from queuectl_lib.store import groups

    names = groups.shortest(group.signature for group in seen.dead)
    screen, rows = local_time.Screen(seen.now), []
    for group in seen.dead[:MOST_ROWS]:
        when = [markup.moment_of(one, screen) for one in (group.first_at or "?", group.last_at or "?")]
        text = markup.html_text(charts.group_text(group.text or "?", share))
        rows.append([markup.html_text(names[group.signature]), markup.number(group.jobs), *when, text])
    note = "`dlq retry --group GROUP --canary` sends one of a group first."
    if len(seen.dead) > MOST_ROWS:
        note += " " + markup.some_of(MOST_ROWS, len(seen.dead), "groups, the largest") + "."
    headings = ["group", "jobs", screen.heading("first"), screen.heading("last"), "what they said"]
    return section("Dead jobs by what they died of", note, markup.table("", headings, rows, (1,)))


# ---------------------------------------------------------------- what runs


def running(seen: Seen, share: bool) -> str:
    if not seen.running:
        return section("Running now", "", nothing("Nothing runs."))
    rows = []
    for job in seen.running[:MOST_ROWS]:
        times_text = "-" if job["times_p95"] is None else "%.1f x" % job["times_p95"]
        cells = [markup.html_text(job["id"], 64), times.span_text(job["elapsed"]), times_text]
        if share:
            rows.append([*cells, markup.html_text(job["name"] or "-")])
            continue
        worker = markup.html_text(job.get("worker") or "-", 60)
        progress = markup.html_text(values.progress_text(job["progress"]), 80)
        rows.append([*cells, worker, progress, command(job["command"])])
    note = "Of p95: how many times what 95 of 100 of the last successes of its kind did not exceed."
    if len(seen.running) > MOST_ROWS:
        note += " " + markup.some_of(MOST_ROWS, len(seen.running), "jobs, those that have run longest") + "."
    headings = ["job", "for", "of p95"] + (["name"] if share else ["worker", "progress", "command"])
    return section("Running now", note, markup.table("", headings, rows, (1, 2)))


def command(text: object) -> str:
    from queuectl_lib.host import system

    if isinstance(text, list):
        text = system.typed([str(word) for word in text])
    return markup.element("code", markup.html_text(text))


# ---------------------------------------------------------------- what failed last


def newest(seen: Seen, share: bool) -> str:
    """The newest failures, each with what it wrote last; with *share* without that, and without its command."""
    if not seen.newest:
        return section("The newest failures", "", nothing("No attempt failed in this time."))
    screen, items = local_time.Screen(seen.now), []
    for one in seen.newest:
        when = markup.moment_of(one["ended"], screen)
        head = "<strong>%s</strong>, attempt %s, %s: %s" % (
            markup.html_text(one["job"], 64),
            markup.html_text(one["number"], 20),
            when,
            markup.html_text(charts.group_text(str(one["verdict"]), share)),
        )
        body = "" if share else "<div>%s</div>%s" % (command(one["command"]), lines_of(one))
        items.append("<li>%s%s</li>" % (head, body))
    note = "Times are by the clock of this host (%s)." % screen.offset
    more = markup.some_of(len(seen.newest), seen.total("fail"), "failures")
    note = "%s; t%s" % (more, note[1:]) if more else note
    return section("The newest failures", note, '<ol class="failures">%s</ol>' % "\n".join(items))


def lines_of(one: Fields) -> str:
    if not one["lines"]:
        return ""
    text = "\n".join(markup.html_text(line, LINE_CHARACTERS) for line in one["lines"])
    return "<pre>%s</pre>" % text


def states_of(counts: Dict[str, int]) -> str:
    """How many jobs are in each state."""
    pairs = [(markup.number(count), markup.html_text(state)) for state, count in counts.items()]
    cells = ["<li><b>%s</b> %s</li>" % pair for pair in pairs]
    return '<ul class="states">%s</ul>' % "".join(cells)
