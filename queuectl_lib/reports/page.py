"""A report as one page of HTML that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

import queuectl_lib
from queuectl_lib import times
from queuectl_lib.jobs import local_time
from queuectl_lib.reports import charts, lists, markup, page_style, plots, timeline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence

    from queuectl_lib.reports.seen import Seen

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
MOST_TROUBLES = 20
BEGIN = "<!DOCTYPE html>\n<!-- a report of queuectl -->"  # by which a file is known as one that may be replaced

# What `why` answers, in words that name nothing of the queue: for a page that others see.
PLAIN = {
    "no_worker": "No worker is alive.",
    "worker_starting": "A worker is starting.",
    "worker_refuses": "Workers cannot start.",
    "worker_paused": "A worker is paused.",
    "workers_stopping": "The workers are stopping.",
    "disk_low": "The disk is nearly full.",
    "queue_not_served": "What is due is in queues that no worker serves.",
    "queue_paused": "What is due is in queues that are paused.",
    "lock": "What is due waits for a lock.",
    "queue_full": "What is due is in queues that run as many as they may.",
    "queue_rate": "What is due is in queues that have started as many as they may.",
    "window": "What is due is in queues whose window is closed.",
    "gate": "What is due is in queues that the host keeps from starting more.",
    "held": "What waits is held by a person.",
    "after": "What waits comes after other jobs.",
    "stuck": "Jobs are due, and none starts.",
    "busy": "Jobs run.",
    "idle": "Nothing runs and nothing is due.",
}


class Wishes:
    """How a page is wanted: its *title*, seconds after which it is loaded again (None: never), whether for others."""

    def __init__(self, title: str, refresh: Optional[int], share: bool) -> None:
        self.title = title
        self.refresh = refresh
        self.share = share


def of(seen: Seen, wishes: Wishes, lines: Sequence[str]) -> str:
    """The page; *lines* are what to type now, as `why` has it."""
    share = wishes.share
    return "\n".join(
        [
            head(wishes),
            plots.HATCHING,
            top(seen, wishes, lines),
            "<main>",
            '<div class="plots">',
            charts.throughput(seen),
            charts.waiting(seen),
            charts.durations(seen),
            charts.failures(seen, share),
            "</div>",
            '<div class="alone">%s</div>' % timeline.timeline(seen, share),
            lists.kinds(seen, share),
            lists.dead(seen, share),
            lists.running(seen, share),
            lists.newest(seen, share),
            "</main>",
            foot(seen, share),
            "</body>",
            "</html>",
            "",
        ]
    )


def head(wishes: Wishes) -> str:
    lines = [
        BEGIN,
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta http-equiv="Content-Security-Policy" content="%s">' % POLICY,
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
    ]
    if wishes.refresh is not None:
        lines.append('<meta http-equiv="refresh" content="%d">' % wishes.refresh)
    title = "<title>%s</title>" % markup.html_text(wishes.title)
    return "\n".join([*lines, title, "<style>%s</style>" % page_style.STYLE, "</head>", "<body>"])


def top(seen: Seen, wishes: Wishes, lines: Sequence[str]) -> str:
    """What one wants to know first: when this was, what the queue does, what is wrong with it."""
    screen = local_time.Screen()
    since = markup.moment(seen.since, screen)
    when = "From %s to %s." % (since, markup.moment(seen.now, screen))
    found = ["<h1>%s</h1>" % markup.html_text(wishes.title), '<p class="soft">%s</p>' % when]
    found.append('<p class="why">%s</p>' % markup.html_text(sentence(seen, wishes.share), 1000))
    for line in [] if wishes.share else lines:
        found.append('<p class="type"><code>%s</code></p>' % markup.html_text(line, 400))
    found.append(troubles(seen, wishes.share))
    found.append(lists.states_of(seen.counts))
    return '<header class="head">%s</header>' % "\n".join(found)


def sentence(seen: Seen, share: bool) -> str:
    reason = str(seen.answer["reason"])
    if share:
        return PLAIN.get(reason, reason.replace("_", " "))
    text = str(seen.answer["sentence"])
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def troubles(seen: Seen, share: bool) -> str:
    """What `check` finds."""
    count = len(seen.troubles)
    if not count:
        return '<p class="well"><code>check</code> finds nothing wrong.</p>'
    if share:
        text = "`check` finds 1 thing wrong." if count == 1 else "`check` finds %d things wrong." % count
        return '<p class="troubles">%s</p>' % markup.told(text)
    items: List[str] = ["<li>%s</li>" % markup.told(text, 400) for text in seen.troubles[:MOST_TROUBLES]]
    if count > MOST_TROUBLES:
        items.append("<li>%s</li>" % markup.some_of(MOST_TROUBLES, count, "that `check` finds"))
    return '<ul class="troubles">%s</ul>' % "".join(items)


def foot(seen: Seen, share: bool) -> str:
    text = "Made by queuectl %s" % queuectl_lib.VERSION
    if not share:
        text += " from %s" % seen.queue.path
    text += ", %s of history. Attempts of jobs that were pruned are not in it." % times.span_text(seen.now - seen.since)
    if share:
        text += " Made to be shared: without commands and output, and without what is made of them."
    return "<footer>%s</footer>" % markup.html_text(text, 1000)
