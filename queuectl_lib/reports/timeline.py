"""The timeline of a report: a lane for each slot of each worker, with a bar for each attempt, or how busy it was."""

from __future__ import annotations

from queuectl_lib import times
from queuectl_lib.jobs import states
from queuectl_lib.reports import bins, charts, markup
from queuectl_lib.reports.plots import Plot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Sequence, Tuple

    from queuectl_lib.reports.seen import Seen
    from queuectl_lib.store.window import Attempt

    Strip = Tuple[str, float, float, float, float]

MOST_LANES = 20
MOST_BARS = 1000  # of all lanes together: of more it is shown how busy each lane was
MOST_STRIPS = 1300  # rectangles of that
COLUMNS = (120, 60, 30, 15)  # so many parts of the time in a lane: as many as leave few enough rectangles
LEVELS = 8  # of how busy a part is
NAME, LANE, GAP = 17, 14, 3  # pixels: of the name of a worker, of a lane, below it
LEAST_WIDTH = 0.15  # percents: what is shorter is drawn so wide


class Lanes:
    """Those of one *worker*: with a *share* of its busy seconds each; *slots* is empty where attempts were left out."""

    def __init__(self, worker: str, attempts: Sequence[Attempt], seen: Seen) -> None:
        self.worker = worker
        self.attempts = attempts
        self.busy = bins.busy_seconds(attempts, seen.since, seen.now) * seen.detail.weight
        self.lanes = [list(attempts)] if seen.detail.is_sample else bins.slots_of(attempts, seen.now)
        self.began = min(one.began for one in attempts)


def timeline(seen: Seen, share: bool) -> str:
    """The figure; with *share* workers have numbers instead of names."""
    known = bins.by_worker(seen.detail.attempts)
    everyone = sorted((Lanes(name, some, seen) for name, some in known.items()), key=lambda one: -one.busy)
    chosen: List[Lanes] = []
    left = MOST_LANES
    for one in everyone:
        if left > 0:
            one.lanes = one.lanes[:left]
            left -= len(one.lanes)
            chosen.append(one)
    chosen.sort(key=lambda one: (one.began, one.worker))
    count = sum(len(one.lanes) for one in chosen)
    height = 8 + len(chosen) * (NAME + GAP) + count * (LANE + GAP) + 26
    plot = Plot(5, "What each worker did", words_of(seen, everyone), max(60, height))
    bars = sum(len(lane) for one in chosen for lane in one.lanes)
    as_bars = bars <= MOST_BARS and not seen.detail.is_sample
    draw(plot, seen, chosen, as_bars, share)
    plot.time_axis(seen.since, seen.now)
    rows = []
    for place, one in enumerate(chosen):
        failed = sum(attempt.has_failed for attempt in one.attempts) * seen.detail.weight
        cells = [markup.number(len(one.attempts) * seen.detail.weight), markup.number(failed)]
        slots = "-" if seen.detail.is_sample else str(len(one.lanes))
        busy = markup.percent(one.busy / max(1, len(one.lanes)), seen.now - seen.since)
        rows.append([name_of(one, place, share), slots, *cells, times.span_text(one.busy), busy])
    headings = ["worker", "slots", "attempts", "failed", "busy", "of the time"]
    more = markup.details("The numbers", markup.table("", headings, rows, (1, 2, 3, 4, 5))) if rows else ""
    if as_bars:
        legend = [("done", "completed"), ("bad", "failed"), ("run", "runs"), ("other", "neither")]
    else:
        legend = [("done", "how much of the time it was busy: the full height is all of it"), ("bad", "of that failed")]
    note = markup.some_of(len(chosen), len(everyone), "workers, those that were busy longest")
    if seen.detail.is_sample:
        legend[0] = ("done", "how much it had to do: the full height is the most that any had")
        note = "A lane for each worker. %s %s" % (charts.sample_note(seen), note)
    return plot.figure(markup.legend(legend), more, note)


def words_of(seen: Seen, everyone: Sequence[Lanes]) -> str:
    if not everyone:
        return "Nothing ran in this time."
    lanes = sum(len(one.lanes) for one in everyone)
    busy = sum(one.busy for one in everyone)
    text = "%s ran %s attempts" % (
        "1 worker" if len(everyone) == 1 else "%d workers" % len(everyone),
        markup.number(sum(len(one.attempts) for one in everyone) * seen.detail.weight),
    )
    if seen.detail.is_sample:
        return text + ", %s of work." % times.span_text(busy)
    share = markup.percent(busy, lanes * (seen.now - seen.since))
    slots = "1 slot, which was" if lanes == 1 else "%d slots, which were" % lanes
    return "%s on %s busy %s of the time." % (text, slots, share)


def name_of(one: Lanes, place: int, share: bool) -> str:
    return "worker %d" % (place + 1) if share else markup.html_text(one.worker, 60)


def draw(plot: Plot, seen: Seen, chosen: Sequence[Lanes], as_bars: bool, share: bool) -> None:
    columns = COLUMNS[0]
    if not as_bars:
        every = [lane for one in chosen for lane in one.lanes]
        most = busiest(seen, every) if seen.detail.is_sample else 1.0
        for columns in COLUMNS:
            strips = [strip(seen, lane, columns, most) for lane in every]
            if sum(map(len, strips)) <= MOST_STRIPS:
                break
        found = iter(strips)
    y = 8.0
    for place, one in enumerate(chosen):
        slots = "" if seen.detail.is_sample or len(one.lanes) == 1 else ", %d slots" % len(one.lanes)
        name = "worker %d" % (place + 1) if share else one.worker
        plot.text(0, y + 13, name[:60] + slots)
        y += NAME
        for lane in one.lanes:
            plot.line("g", 0, y + LANE, 100, y + LANE)
            if as_bars:
                bars(plot, seen, lane, y)
            else:
                for kind, left, width, low, high in next(found):
                    upper = y + LANE * (1 - high)
                    plot.rect(kind, left, upper, width, LANE * (high - low))
            y += LANE + GAP
        y += GAP


def bars(plot: Plot, seen: Seen, lane: Sequence[Attempt], y: float) -> None:
    length = seen.now - seen.since
    for one in lane:
        end = seen.now if one.ended is None else one.ended
        left = 100.0 * (max(one.began, seen.since) - seen.since) / length
        width = max(LEAST_WIDTH, 100.0 * (end - max(one.began, seen.since)) / length)
        kind = "run" if one.ended is None else kind_of(one)
        how = "runs" if one.ended is None else one.outcome
        took = times.span_text(end - one.began)
        tip = "%s: %s, %s" % (markup.html_text(one.job, 24), markup.html_text(how, 12), took)
        plot.rect(kind, min(left, 100 - LEAST_WIDTH), y + 1, width, LANE - 2, tip)


def kind_of(one: Attempt) -> str:
    if one.has_failed:
        return "bad"
    return "done" if one.outcome == states.COMPLETED else "other"


def busiest(seen: Seen, lanes: Sequence[Sequence[Attempt]]) -> float:
    """How many a worker had at once at the most, as a mean of a part of the time."""
    return max([max(busy_of(seen, lane, COLUMNS[0])) for lane in lanes], default=1.0) or 1.0


def busy_of(seen: Seen, lane: Sequence[Attempt], columns: int) -> List[float]:
    parts = bins.Bins(0.0, 1, columns)
    scale = columns / (seen.now - seen.since)
    spans = [
        ((one.began - seen.since) * scale, ((seen.now if one.ended is None else one.ended) - seen.since) * scale)
        for one in lane
    ]
    return bins.mean_at_once(spans, parts, seen.detail.weight, float(columns))


def strip(seen: Seen, lane: Sequence[Attempt], columns: int, most: float) -> List[Strip]:
    """Rectangles (kind, left, width, low, high): how busy each part was, and how much of that failed."""
    whole = busy_of(seen, lane, columns)
    failed = busy_of(seen, [one for one in lane if one.has_failed], columns)
    levels = [(level(all_of / most), level(bad / most)) for all_of, bad in zip(whole, failed)]
    found, width = [], 100.0 / columns
    begin = 0
    for place in range(1, columns + 1):
        if place == columns or levels[place] != levels[begin]:  # of parts that are alike one is made
            high, low = levels[begin]
            if high > low:
                found.append(("done", begin * width, (place - begin) * width, low, high))
            if low:
                found.append(("bad", begin * width, (place - begin) * width, 0.0, low))
            begin = place
    return found


def level(share: float) -> float:
    """A share in steps; of what is more than nothing at least one."""
    return min(LEVELS, max(1, round(share * LEVELS))) / float(LEVELS) if share > 0 else 0.0
