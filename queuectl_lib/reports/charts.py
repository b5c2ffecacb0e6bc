"""The plots of a report: throughput, waiting, durations, failures; each says in words what it shows, and in numbers."""

from __future__ import annotations

import math
import re

from queuectl_lib import times, values
from queuectl_lib.jobs import local_time
from queuectl_lib.reports import bins, history, markup
from queuectl_lib.reports.plots import Plot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Sequence, Tuple

    from queuectl_lib.reports.seen import Seen

HEIGHT = 220  # pixels
OTHERS = ("cancel", "release")  # what was cancelled, given back or snoozed
LOG_TICKS = (  # of an axis of lengths of time, seconds
    *((0.01, "10 ms"), (0.1, "0.1 s"), (1, "1 s"), (10, "10 s"), (60, "1 min"), (600, "10 min")),
    *((3600, "1 h"), (36000, "10 h"), (864000, "10 d"), (8640000, "100 d"), (86400000, "1,000 d")),
)
MOST_GROUPS = 12  # bars of failures
WIDE, NARROW = 110, 46  # characters of what they say, on wide and narrow screens


def sample_note(seen: Seen) -> str:
    """That not all attempts were read in full, where that is so."""
    if not seen.detail.is_sample:
        return ""
    some = markup.some_of(len(seen.detail.attempts), seen.detail.total, "attempts")
    return "By %s that lie evenly among them." % some


# ---------------------------------------------------------------- throughput


def throughput(seen: Seen) -> str:
    completed, failed, others = (seen.by_bin(verbs) for verbs in (["complete"], ["fail"], OTHERS))
    at_once = seen.at_once()
    both = [sum(three) for three in zip(completed, failed, others)]
    top, high = bins.round_up(max(both, default=0)), bins.round_up(max(at_once, default=0.0))
    plot = Plot(1, "Attempts that ended, and how many ran", throughput_words(seen, both, at_once), HEIGHT)
    width = 100.0 / seen.bins.count
    unit = "in " + width_text(seen.bins.width)
    plot.grid([(share, "%s%s" % (plain(top * share), " " + unit if share == 1 else "")) for share in (0.5, 1.0)])
    for place in range(seen.bins.count):
        base = 0.0
        for kind, counts in (("done", completed), ("bad", failed), ("other", others)):
            if counts[place]:
                upper = plot.y_of((base + counts[place]) / top)
                plot.rect(kind, place * width, upper, width * 0.86, plot.y_of(base / top) - upper)
                base += counts[place]
    plot.path("lrun", [value / high for value in at_once])
    plot.grid([(1.0, "%s at once" % plain(high))], "end")
    time_axis(plot, seen)
    legend = [("done", "completed"), ("bad", "failed"), ("lrun", "ran at once, a mean")]
    legend += [("other", "cancelled, given back or snoozed")] if any(others) else []
    headings = ["from", "completed", "failed", "ran at once"] + (["other"] if any(others) else [])
    rows = []
    for place, begin in enumerate(seen.bins.begins()):
        cells = [str(completed[place]), str(failed[place]), "%.1f" % at_once[place]]
        if both[place] or at_once[place]:
            rows.append([begin_text(seen, begin), *cells, *([str(others[place])] if any(others) else [])])
    note = sample_note(seen) and "How many ran at once: b%s The counts are of all." % sample_note(seen)[1:]
    return plot.figure(markup.legend(legend), numbers(headings, rows), note)


def throughput_words(seen: Seen, both: Sequence[int], at_once: Sequence[float]) -> str:
    total, failed = seen.ended(), seen.total("fail")
    if not total:
        return "No attempt ended in this time."
    text = "%s ended: %s completed and %s failed (%s)." % (
        "1 attempt" if total == 1 else "%s attempts" % markup.number(total),
        markup.number(seen.total("complete")),
        markup.number(failed),
        markup.percent(failed, total),
    )
    most = max(range(len(both)), key=lambda place: both[place])
    width = width_text(seen.bins.width)
    begin = clock_text(seen, seen.bins.begin + most * seen.bins.width)
    text += " The most within %s were %s, from %s on." % (width, markup.number(both[most]), begin)
    if round(max(at_once), 1) > 0:
        return text + " At most %s ran at once, as a mean of %s." % (plain(round(max(at_once), 1)), width)
    if max(at_once) > 0:
        return text + " They were so short that on average less than 0.1 ran at once."
    return text


# ---------------------------------------------------------------- waiting


def waiting(seen: Seen) -> str:
    found: List[List[float]] = [[] for _ in range(seen.bins.count)]
    every: List[float] = []
    for one in seen.detail.attempts:
        place = seen.bins.place(one.began)
        if one.waited is not None and place is not None:
            found[place].append(one.waited)
            every.append(one.waited)
    medians, highs = [history.median(some) for some in found], [history.p95(some) for some in found]
    words = "No job had its first attempt in this time."
    if every:
        worst = max(range(len(highs)), key=lambda place: highs[place] or 0.0)
        words = "Half of the jobs began their first attempt within %s of being due, 95 of 100 within %s." % (
            times.span_text(history.median(every) or 0.0),
            times.span_text(history.p95(every) or 0.0),
        )
        words += " The longest waits came from %s on: 95 of 100 waited up to %s." % (
            clock_text(seen, seen.bins.begin + worst * seen.bins.width),
            times.span_text(highs[worst] or 0.0),
        )
    plot = Plot(2, "Waiting before the first attempt", words, HEIGHT)
    scale = LogScale(every)
    plot.grid(scale.ticks())
    plot.path("lmed", [scale.share(value) for value in medians])
    plot.path("lp95", [scale.share(value) for value in highs])
    time_axis(plot, seen)
    rows = []
    for place, begin in enumerate(seen.bins.begins()):
        told = [span(value) for value in (medians[place], highs[place])]
        if found[place]:
            rows.append([begin_text(seen, begin), str(len(found[place])), *told])
    legend = markup.legend([("lmed", "median"), ("lp95", "p95: 95 of 100 waited no longer")])
    more = numbers(["from", "jobs looked at", "median", "p95"], rows)
    return plot.figure(legend, more, sample_note(seen))


class LogScale:
    """A logarithmic scale that holds *values*, seconds."""

    def __init__(self, values: Sequence[float]) -> None:
        least = max(0.01, min(values, default=1.0))
        self.low = max(one for one, _ in LOG_TICKS[:-1] if one <= least)
        high = max(self.low * 10, max(values, default=1.0))
        self.high = next((one for one, _ in LOG_TICKS if one >= high), LOG_TICKS[-1][0])

    def share(self, value: Optional[float]) -> Optional[float]:
        if value is None:
            return None
        return math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)

    def ticks(self) -> List[Tuple[float, str]]:
        return [(self.share(one) or 0.0, text) for one, text in LOG_TICKS if self.low < one <= self.high]


# ---------------------------------------------------------------- durations


def durations(seen: Seen) -> str:
    ended = [one for one in seen.detail.attempts if one.ended is not None and one.ended >= one.began]
    known = [(max(1e-4, (one.ended or 0.0) - one.began), one.has_failed) for one in ended]
    seconds = [length for length, _ in known]
    edges = bins.log_edges(min(seconds, default=1.0), max(seconds, default=1.0))
    good, bad = [0.0] * (len(edges) - 1), [0.0] * (len(edges) - 1)
    for length, failed in known:
        (bad if failed else good)[bins.log_place(length, edges)] += seen.detail.weight
    words = "No attempt ended in this time."
    if seconds:
        words = "Half of the attempts took up to %s, 95 of 100 up to %s; the longest %s." % (
            times.span_text(history.median(seconds) or 0.0),
            times.span_text(history.p95(seconds) or 0.0),
            times.span_text(max(seconds)),
        )
    plot = Plot(3, "How long attempts took", words, HEIGHT)
    top = bins.round_up(max([one + two for one, two in zip(good, bad)], default=0.0))
    plot.grid([(0.5, plain(top / 2)), (1.0, "%s attempt%s" % (plain(top), "" if top == 1 else "s"))])
    width, rows = 100.0 / len(good), []
    for place, (one, two) in enumerate(zip(good, bad)):
        middle, upper = plot.y_of(one / top), plot.y_of((one + two) / top)
        if one:
            plot.rect("done", place * width, middle, width * 0.92, plot.ground - middle)
        if two:
            plot.rect("bad", place * width, upper, width * 0.92, middle - upper)
        until = times.span_text(edges[place + 1])
        rows.append(["%s to %s" % (times.span_text(edges[place]), until), markup.number(one), markup.number(two)])
    plot.line("axis", 0, plot.ground, 100, plot.ground)
    every = max(1, -(-len(edges) // 7))
    for place in range(0, len(edges), every):
        plot.text(place * width, plot.height - 5, times.span_text(edges[place]), end_anchor(place * width))
    legend = markup.legend([("done", "completed and others"), ("bad", "failed")])
    more = numbers(["took", "completed and others", "failed"], rows if known else [])
    return plot.figure(legend, more, sample_note(seen))


# ---------------------------------------------------------------- failures


def failures(seen: Seen, share: bool) -> str:
    """Bars of groups; with *share* nothing of what jobs have printed."""
    found = sorted(seen.failures.groups.items(), key=lambda pair: (-pair[1][1], pair[0]))
    looked, total = len(seen.failures.rows), seen.total("fail")
    words = "No attempt failed in this time."
    names = short_names(found)
    if found:
        first, most = group_text(found[0][1][0], share), found[0][1][1]
        words = "%s of %s failures (%s) are of one group: %s"
        words %= (markup.number(most), markup.number(looked), markup.percent(most, looked), first)
        words = "1 attempt failed: %s" % first if looked == 1 else words
    plot = Plot(4, "Failures by what they said", words, 12 + 38 * max(1, min(MOST_GROUPS, len(found))))
    top, rows = max([one[1] for _, one in found], default=1), []
    for place, (signature, (text, count, last)) in enumerate(found[:50]):
        told = "%s  %s" % (names[signature], group_text(text, share))
        if place < MOST_GROUPS:
            y = 8 + 38 * place
            plot.text(0, y + 8, values.shortened(told, WIDE), kind="t wide-only")
            plot.text(0, y + 8, values.shortened(told, NARROW), kind="t narrow-only")
            plot.rect("bad", 0, y + 13, 82.0 * count / top, 12)
            plot.text(82.0 * count / top + 0.8, y + 23, markup.number(count))
        cells = [markup.html_text(names[signature]), markup.number(count), markup.moment(last, local_time.Screen())]
        rows.append([*cells, markup.html_text(group_text(text, share))])
    table = markup.table("", ["group", "failures", "last", "what they said"], rows, (1,)) if rows else ""
    notes = [
        "The newest " + markup.some_of(looked, total, "failures") if looked < total else "",
        markup.some_of(min(MOST_GROUPS, len(found)), len(found), "groups are drawn"),
        markup.some_of(min(50, len(found)), len(found), "groups are in the table"),
    ]
    note = "; ".join(one for one in notes if one)
    more = markup.details("The numbers", table) if rows else ""
    return plot.figure("", more, note and note + ".")


ENDS = r"exit -?\d+|signal [A-Z0-9+-]{1,12}|timed out|lost|cannot start|said"  # in which there is nothing of a job


def group_text(text: str, share: bool) -> str:
    """What a group says; where the page is shared how its attempts ended alone."""
    if not share:
        return text
    known = re.match(ENDS, text)
    return known.group() if known else "failed"


def short_names(found: Sequence[Tuple[str, object]]) -> Dict[str, str]:
    from queuectl_lib.store import groups

    return groups.shortest(signature for signature, _ in found)


# ---------------------------------------------------------------- words


def numbers(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """What a plot is drawn from, folded; times in which nothing was are left out."""
    if not rows:
        return ""
    return markup.details("The numbers", markup.table("", headings, rows, range(1, len(headings))))


def time_axis(plot: Plot, seen: Seen) -> None:
    plot.time_axis(seen.bins.begin, seen.bins.begin + seen.bins.count * seen.bins.width)


def begin_text(seen: Seen, begin: float) -> str:
    return markup.moment(begin, local_time.Screen(seen.now))


def clock_text(seen: Seen, moment: float) -> str:
    """A minute of the clock of this host, with the day where it is not that of the page."""
    text, today = local_time.text(moment), local_time.text(seen.now)
    return text[11:16] if text[:10] == today[:10] else text[5:16]


def width_text(seconds: int) -> str:
    return times.exact_age(seconds).replace("m", " min").replace("s", " s").replace("h", " h").replace("d", " d")


def span(value: Optional[float]) -> str:
    return "-" if value is None else times.span_text(value)


def plain(value: float) -> str:
    return markup.number(value) if value == int(value) else "%.1f" % value


def end_anchor(left: float) -> str:
    return "start" if left < 3 else "end" if left > 97 else "middle"
