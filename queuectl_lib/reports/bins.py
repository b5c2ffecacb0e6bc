"""Numbers put into bins: of time, of lengths of time by their logarithm, of lanes one below the other. Pure."""

from __future__ import annotations

import heapq

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Sequence, Tuple

    from queuectl_lib.store.window import Attempt

MINUTE, HOUR, DAY = 60, 3600, 86400
WIDTHS = (
    *(1, 2, 5, 10, 15, 30),
    *(MINUTE * one for one in (1, 2, 5, 10, 15, 30)),
    *(HOUR * one for one in (1, 2, 3, 6, 12)),
    *(DAY * one for one in (1, 2, 7, 14, 28, 91, 182, 364, 728, 3640)),
)


class Bins:
    """So many bins of time, each *width* seconds wide, from *begin* (seconds since 1970) on."""

    def __init__(self, begin: float, width: int, count: int) -> None:
        self.begin = begin
        self.width = width
        self.count = count

    def place(self, moment: float) -> Optional[int]:
        """The bin in which a moment lies; None of one before or behind all."""
        place = int((moment - self.begin) // self.width)
        return place if 0 <= place < self.count else None

    def begins(self) -> List[float]:
        return [self.begin + place * self.width for place in range(self.count)]


def of_time(since: float, until: float, offset: int, most: int) -> Bins:
    """At most *most* bins that hold all from *since* to *until*; they begin at round times of a clock *offset* east."""
    width = next((one for one in WIDTHS if (until - since) / one <= most - 1), WIDTHS[-1])
    begin = (since + offset) // width * width - offset
    return Bins(begin, width, min(most, int((until - begin) // width) + 1))


def ticks_of_time(since: float, until: float, offset: int, most: int) -> List[float]:
    """Round times from *since* to *until*, *most* of them at the most."""
    width = next((one for one in WIDTHS if (until - since) / one <= most), WIDTHS[-1])
    first = -(-(since + offset) // width) * width - offset
    found = []
    while first <= until:
        found.append(first)
        first += width
    return found


def mean_at_once(spans: Sequence[Tuple[float, float]], bins: Bins, weight: float, until: float) -> List[float]:
    """For each bin how many of *spans* (begin, end) there were at once, as a mean of its part before *until*."""
    inside = [0.0] * bins.count  # of spans that begin or end in it, seconds
    change = [0.0] * (bins.count + 1)  # of spans that fill it
    last = bins.begin + bins.count * bins.width
    for begin, end in spans:
        begin, end = max(begin, bins.begin), min(end, last)
        if begin >= end:
            continue
        low, high = int((begin - bins.begin) // bins.width), int((end - bins.begin) // bins.width)
        if low == high:
            inside[low] += end - begin
            continue
        inside[low] += bins.begin + (low + 1) * bins.width - begin
        if high < bins.count:
            inside[high] += end - (bins.begin + high * bins.width)
        change[low + 1] += 1
        change[min(high, bins.count)] -= 1
    found, filling = [], 0.0
    for place, begin in enumerate(bins.begins()):
        filling += change[place]
        length = max(1e-9, min(bins.width, until - begin))
        found.append(weight * (inside[place] + filling * bins.width) / length)
    return found


# ---------------------------------------------------------------- by logarithm

EDGES = (
    *(step * 10.0**power for power in range(-4, 1) for step in (1, 2, 5)),
    *(10.0, 30.0, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 5 * HOUR, 12 * HOUR, DAY),
    *(DAY * days for days in (2.0, 5.0, 10.0, 30.0, 100.0, 1000.0, 10000.0)),
)


def log_edges(low: float, high: float) -> Sequence[float]:
    """Those of EDGES (seconds) around all from *low* to *high*, both above 0."""
    first = max([place for place, edge in enumerate(EDGES) if edge <= low], default=0)
    last = min([place for place, edge in enumerate(EDGES) if edge > high], default=len(EDGES) - 1)
    first = min(first, len(EDGES) - 2)
    return EDGES[first : max(last, first + 1) + 1]


def log_place(value: float, edges: Sequence[float]) -> int:
    """Between which of *edges* a value lies; what is below or above all lies in the first or last place."""
    low, high = 0, len(edges) - 2
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if edges[middle] <= value else (low, middle - 1)
    return low


# ---------------------------------------------------------------- of a scale


SCALE = (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10)


def round_up(value: float) -> float:
    """The least of SCALE times a power of ten that is not below *value*; 1 of what is no more."""
    size = 1.0
    while size * 10 < value:
        size *= 10
    return next(size * step for step in SCALE if size * step >= value or step == SCALE[-1])


# ---------------------------------------------------------------- lanes


def slots_of(attempts: Sequence[Attempt], now: float) -> List[List[Attempt]]:
    """Attempts of one worker, by their begins, on as few lanes as hold them side by side."""
    lanes: List[List[Attempt]] = []
    free: List[int] = []
    busy: List[Tuple[float, int]] = []
    for one in sorted(attempts, key=lambda one: one.began):
        while busy and busy[0][0] <= one.began:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if not free:
            free.append(len(lanes))
            lanes.append([])
        lane = heapq.heappop(free)
        lanes[lane].append(one)
        heapq.heappush(busy, (now if one.ended is None else max(one.began, one.ended), lane))
    return lanes


def by_worker(attempts: Sequence[Attempt]) -> Dict[str, List[Attempt]]:
    found: Dict[str, List[Attempt]] = {}
    for one in attempts:
        found.setdefault(one.worker, []).append(one)
    return found


def busy_seconds(attempts: Sequence[Attempt], since: float, now: float) -> float:
    return sum(max(0.0, (now if one.ended is None else one.ended) - max(since, one.began)) for one in attempts)
