"""Time as a clock on a wall shows it, by zoneinfo and minute by minute: what the rooms of jobs/ are compared with."""

import calendar
import datetime

UTC = datetime.timezone.utc
ODD_ZONES = (
    *("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia"),
    *("Europe/Dublin", "Africa/Casablanca", "Asia/Kathmandu", "America/St_Johns", "Asia/Gaza", "Antarctica/Troll"),
    *("Pacific/Kwajalein", "America/Recife", "Asia/Tehran"),
)


def utc(year, month=1, day=1, hour=0, minute=0, second=0):
    return float(calendar.timegm((year, month, day, hour, minute, second)))


def wall(zone, second):
    """What a clock in *zone* shows at an instant, as a datetime that knows no zone."""
    return datetime.datetime.fromtimestamp(second, UTC).astimezone(zone).replace(tzinfo=None)


def seconds(moment):
    """A datetime without a zone, in seconds, as if it were UTC."""
    return int(moment.replace(tzinfo=UTC).timestamp())


def offset(zone, second):
    return seconds(wall(zone, second)) - second


def changes(zone, low, high):
    """Each second from *low* to *high* at which the clock in *zone* is changed, seen by looking twice a day."""
    found, step = [], 43200
    for begin in range(int(low), int(high), step):
        before, end = begin, begin + step
        if offset(zone, before) != offset(zone, end):
            while end - before > 1:
                middle = (before + end) // 2
                before, end = (middle, end) if offset(zone, middle) == offset(zone, begin) else (before, middle)
            found.append(end)
    return found


def instant_of(zone, moment):
    """When a fixed time comes: the first time that it is shown, or the first instant after the gap in which it lies."""
    first = moment.replace(tzinfo=zone, fold=0)
    second = int(first.astimezone(UTC).timestamp())
    if wall(zone, second) == moment:
        return second
    low = second - 2 * 86400  # before the gap the clock shows less, after it more
    high = second + 2 * 86400
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if wall(zone, middle) < moment else (low, middle)
    return high


class Line:
    """A cron line, read and matched as simply as can be."""

    LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))

    def __init__(self, text):
        self.parts = text.split()
        self.sets = [self.values(part, *limits) for part, limits in zip(self.parts, self.LIMITS)]
        self.follows_clock = self.parts[0].startswith("*") or self.parts[1].startswith("*")

    @staticmethod
    def values(text, low, high):
        found = set()
        for item in text.split(","):
            span, _, step = item.partition("/")
            first, _, last = span.partition("-")
            begin, end = (low, high) if span == "*" else (int(first), int(last or first))
            found |= {value for value in range(begin, end + 1) if (value - begin) % int(step or 1) == 0}
        return found

    def has_day(self, moment):
        _, _, days, months, weekdays = self.sets
        in_month, in_week = moment.day in days, moment.isoweekday() % 7 in weekdays
        either = not self.parts[2].startswith("*") and not self.parts[4].startswith("*")
        return moment.month in months and ((in_month or in_week) if either else (in_month and in_week))

    def matches(self, moment):
        return moment.minute in self.sets[0] and moment.hour in self.sets[1] and self.has_day(moment)

    def slots(self, zone, low, high):
        """As a cron would find them that looks at the clock each minute from *low* to *high*: whole minutes."""
        found, furthest, minute = [], wall(zone, low - 60), datetime.timedelta(minutes=1)
        for second in range(int(low), int(high) + 1, 60):
            shown = wall(zone, second)
            due = self.follows_clock and self.matches(shown)
            while furthest < shown:
                furthest += minute
                due = due or (not self.follows_clock and self.matches(furthest))
            if due:
                found.append(float(second))
        return found


def random_line(random):
    """A cron line of any kind, with days often enough that a week has some."""

    def field(low, high, star):
        kind = random.random()
        if kind < star:
            return "*"
        if kind < star + 0.15:
            return "*/%d" % random.choice((2, 3, 5, 7, 15, 30, 45))
        first = random.randint(low, high)
        last = random.randint(first, high)
        if kind < star + 0.3:
            return "%d-%d" % (first, last)
        if kind < star + 0.45:
            return "%d-%d/%d" % (first, last, random.choice((1, 2, 3, 10)))
        return ",".join(str(random.randint(low, high)) for _ in range(random.randint(1, 3)))

    return " ".join((field(0, 59, 0.1), field(0, 23, 0.2), field(1, 28, 0.6), field(1, 12, 0.8), field(0, 6, 0.6)))
