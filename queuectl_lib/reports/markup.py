"""HTML made safely: the one door through which a text goes into it, and the few elements that a page is made of."""

from __future__ import annotations

from queuectl_lib import errors, times, values
from queuectl_lib.jobs import local_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Sequence, Tuple

MOST_CHARACTERS = 200  # of one text, where nothing else is said
ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#x27;"))


def html_text(value: object, most: int = MOST_CHARACTERS) -> str:
    r"""*value* as text that is nothing but text, in an element or an attribute with quotes; *most* characters of it.

    What cannot be seen, or turns what stands beside it, is shown as an escape (\x1b, \u202e).
    """
    text = value if isinstance(value, str) else str(value)
    text = values.shortened(errors.printable(text[: most + 1]), most)
    for char, code in ESCAPES:
        text = text.replace(char, code)
    return text


def told(text: str, most: int = 1000) -> str:
    """The same of words of our own, in which what can be typed stands in backquotes."""
    parts = html_text(text, most).split("`")
    if len(parts) % 2 == 0:
        return "`".join(parts)
    return "".join("<code>%s</code>" % one if place % 2 else one for place, one in enumerate(parts))


def element(name: str, content: str = "", **attributes: object) -> str:
    """An element with *content*, which is HTML; an attribute is named as in Python (class_, aria_hidden)."""
    words = "".join(' %s="%s"' % (key.strip("_").replace("_", "-"), html_text(one)) for key, one in attributes.items())
    return "<%s%s>%s</%s>" % (name, words, content, name)


def moment(seconds: float, screen: local_time.Screen) -> str:
    """A time for people, by the clock of this host, and in UTC for programs."""
    return element("time", html_text(screen.of(seconds)), datetime=times.utc_text(seconds))


def moment_of(stored: object, screen: local_time.Screen) -> str:
    """The same of a time as it is stored; as it stands where it is none."""
    seconds = times.seconds_or(stored, -1.0)
    return html_text(stored) if seconds < 0 else moment(seconds, screen)


def table(caption: str, headings: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table of cells, which are HTML, as the *headings* are text; columns in *numbers* stand to the right."""
    right = [' class="n"' if place in numbers else "" for place in range(len(headings))]
    head = "".join('<th scope="col"%s>%s</th>' % (how, html_text(text)) for how, text in zip(right, headings))
    lines: List[str] = []
    for row in rows:
        lines.append("<tr>%s</tr>" % "".join("<td%s>%s</td>" % (how, cell) for how, cell in zip(right, row)))
    caption = element("caption", html_text(caption)) if caption else ""
    body = "\n".join(lines)
    return '<div class="wide"><table>%s<thead><tr>%s</tr></thead>\n<tbody>%s</tbody></table></div>' % (
        caption,
        head,
        body,
    )


def details(summary: str, content: str) -> str:
    return "<details><summary>%s</summary>\n%s</details>" % (html_text(summary), content)


def number(value: float) -> str:
    """A whole number for people: 12,345."""
    return "{:,}".format(int(round(value)))


def some_of(shown: int, total: float, what: str) -> str:
    """What is cut, in words: "50 of 8,112 kinds"; "" where nothing is."""
    return "" if shown >= total else "%s of %s %s" % (number(shown), number(total), what)


def percent(part: float, whole: float) -> str:
    """A share in words: 7.0 %; "-" of nothing."""
    if not whole:
        return "-"
    share = 100.0 * part / whole
    return "%.1f %%" % share if 0 < share < 10 else "%.0f %%" % share


def legend(rows: Sequence[Tuple[str, str]]) -> str:
    """What the shapes of a plot mean: a class of them and a text each."""
    swatch = '<svg class="key" width="22" height="12" aria-hidden="true">%s</svg>'
    parts = []
    for kind, text in rows:
        shape = '<line class="%s" x1="1" y1="6" x2="21" y2="6"/>' if kind[0] == "l" else '<rect class="%s" %s/>'
        shape = shape % kind if kind[0] == "l" else shape % (kind, 'x="1" y="1" width="20" height="10"')
        parts.append("<li>%s %s</li>" % (swatch % shape, html_text(text)))
    return '<ul class="legend">%s</ul>' % "".join(parts)
