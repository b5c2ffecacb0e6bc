"""Plots as inline SVG: shapes at percents of a width that is the reader's, so that text keeps its size on all screens.

Nothing is told by colour alone: what failed is hatched, a second line is dashed, and all numbers stand in a table.
"""

from __future__ import annotations

from queuectl_lib.jobs import local_time
from queuectl_lib.reports import bins, markup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence, Tuple

TOP, BOTTOM = 18, 22  # pixels above the highest value, and below the axis for its labels
MOST_TICKS = 9  # of a time axis; a narrow screen has labels for each second one
ONE_PIXEL = 0.12  # percents: what is narrower than that is hardly seen
HATCHING = (
    '<svg width="0" height="0" class="defs" aria-hidden="true"><defs>'
    '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="ground" width="6" height="6"/><rect class="stroke" width="3" height="6"/></pattern></defs></svg>'
)


class Plot:
    """One drawing of a page: its *number* there, its title, the finding in words, and how many pixels high it is."""

    def __init__(self, number: int, title: str, finding: str, height: int) -> None:
        self.number = number
        self.title = title
        self.finding = finding
        self.height = height
        self.shapes: List[str] = []
        self.rects = 0

    @property
    def ground(self) -> int:
        """Where the axis lies, in pixels from above."""
        return self.height - BOTTOM

    def y_of(self, share: float) -> float:
        """Where a value lies that is so large a share of the scale."""
        return self.ground - max(0.0, min(1.0, share)) * (self.ground - TOP)

    def rect(self, kind: str, left: float, top: float, width: float, height: float, tip: str = "") -> None:
        """*left* and *width* in percents, *top* and *height* in pixels; *tip*: text to be shown of it, HTML."""
        self.rects += 1
        size = '<rect class="%s" x="%s%%" y="%s" width="%s%%" height="%s"' % (
            kind,
            short(left),
            short(top),
            short(width),
            short(height),
        )
        self.shapes.append(size + ("><title>%s</title></rect>" % tip if tip else "/>"))

    def line(self, kind: str, left: float, top: float, right: float, bottom: float) -> None:
        words = '<line class="%s" x1="%s%%" y1="%s" x2="%s%%" y2="%s"/>'
        self.shapes.append(words % (kind, short(left), short(top), short(right), short(bottom)))

    def text(self, left: float, top: float, text: str, anchor: str = "start", kind: str = "t") -> None:
        words = '<text class="%s" x="%s%%" y="%s"%s>%s</text>'
        where = "" if anchor == "start" else ' text-anchor="%s"' % anchor
        self.shapes.append(words % (kind, short(left), short(top), where, markup.html_text(text)))

    def grid(self, rows: Sequence[Tuple[float, str]], anchor: str = "start") -> None:
        """Lines across at shares of the scale, each with its label above."""
        for share, text in rows:
            y = self.y_of(share)
            if anchor == "start":
                self.line("g", 0, y, 100, y)
            if text:
                self.text(0 if anchor == "start" else 100, y - 3, text, anchor, "t halo")

    def path(self, kind: str, values: Sequence[Optional[float]], dots: bool = True) -> None:
        """A line through the middles of bins, of shares of the scale; None breaks it. *dots*: single ones are seen."""
        width = 100.0 / max(1, len(values))
        for place, share in enumerate(values):
            if share is None:
                continue
            left = (place + 0.5) * width
            after = values[place + 1] if place + 1 < len(values) else None
            if after is not None:
                self.line(kind, left, self.y_of(share), left + width, self.y_of(after))
            elif dots and (place == 0 or values[place - 1] is None):
                self.line(kind, left - width / 2, self.y_of(share), left + width / 2, self.y_of(share))

    def time_axis(self, since: float, until: float) -> None:
        """Round times of the clock of this host below; at midnight the day."""
        self.line("axis", 0, self.ground, 100, self.ground)
        offset = local_time.LOCAL.offset(int(since))
        for place, tick in enumerate(bins.ticks_of_time(since, until, offset, MOST_TICKS)):
            left = 100.0 * (tick - since) / (until - since)
            whole = local_time.text(tick)
            words = whole[5:10] if whole[11:16] == "00:00" else whole[11:16]
            words = whole[11:19] if until - since < 5 * bins.MINUTE else words
            self.line("axis", left, self.ground, left, self.ground + 4)
            self.text(left, self.height - 5, words, anchor_at(left), "t" if place % 2 else "t wide-only")

    def svg(self) -> str:
        """All of it."""
        names = "p%d-title" % self.number, "p%d-desc" % self.number
        head = '<svg class="plot" role="img" aria-labelledby="%s %s" width="100%%" height="%d">' % (*names, self.height)
        title = markup.element("title", markup.html_text(self.title), id=names[0])
        desc = markup.element("desc", markup.html_text(self.finding, 1000), id=names[1])
        return "%s%s%s\n%s\n</svg>" % (head, title, desc, "\n".join(self.shapes))

    def figure(self, legend: str, more: str, note: str = "") -> str:
        """With its heading, what is found, what the shapes mean, and the numbers (*more*, HTML)."""
        head = "<h2>%s</h2>" % markup.html_text(self.title)
        said = '<p class="finding" aria-hidden="true">%s</p>' % markup.html_text(self.finding, 1000)
        said += '<p class="note">%s</p>' % markup.html_text(note, 1000) if note else ""
        return "<figure>%s%s%s%s\n%s\n</figure>" % (head, said, legend, self.svg(), more)


def anchor_at(left: float) -> str:
    """How text lies around a place so that none of it is cut."""
    return "start" if left < 5 else "end" if left > 95 else "middle"


def short(value: float) -> str:
    """A number with no digit that is not seen."""
    text = "%.2f" % value
    return text.rstrip("0").rstrip(".") if "." in text else text
