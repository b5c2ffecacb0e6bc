"""Drawings: all of them within their edges, with words beside, and bounded."""

import random
from types import SimpleNamespace

import pytest
from helpers.page import Page

from queuectl_lib.reports import bins, charts, plots, timeline
from queuectl_lib.store.window import Detail

NOW = 1800000000.0


@pytest.fixture
def plot():
    return plots.Plot(7, "A <title>", "What is & found", 200)


def test_a_plot_tells_who_cannot_see_it_what_it_shows(plot):
    page = Page(plot.figure("", "<p>numbers</p>"))
    svg = page.of("svg")[0]
    assert svg["role"] == "img" and svg["aria-labelledby"].split() == page.ids()
    assert [data for name, data in page.texts if name in ("title", "desc")] == ["A <title>", "What is & found"]


def test_values_lie_between_the_axis_and_the_top(plot):
    for share, y in ((0, plot.ground), (1, plots.TOP), (7, plots.TOP), (-1, plot.ground)):
        assert plot.y_of(share) == y


def test_a_line_is_broken_where_nothing_is_known_and_a_single_point_is_seen(plot):
    plot.path("lmed", [0.5, 0.5, None, 0.2, None])
    assert len(plot.shapes) == 2


@pytest.mark.parametrize("seconds", [60, 3600, 86400, 30 * 86400, 3650 * 86400])
def test_labels_of_time_are_few_and_each_has_its_place(plot, seconds):
    plot.time_axis(NOW - seconds, NOW)
    texts = Page("".join(plot.shapes)).of("text")
    assert 2 <= len(texts) <= plots.MOST_TICKS + 1
    places = [float(one["x"][:-1]) for one in texts]
    assert places == sorted(places) and places[0] >= 0 and places[-1] <= 100


def test_a_scale_of_seconds_holds_what_waited_nothing_and_what_waited_for_years():
    for values in ([], [0.0], [0.0, 1e9], [5.0], [1e9]):
        scale = charts.LogScale(values)
        assert all(scale.share(value) >= 0 for value in values)
        assert scale.high > scale.low and len(scale.ticks()) >= 1


def seen_at_once(at_once):
    """Three attempts of one quarter of an hour, of which so many ran at once."""
    counts = {"complete": 3}
    return SimpleNamespace(
        bins=bins.Bins(NOW - 900, 900, 1), now=NOW, ended=lambda: 3, total=lambda verb: counts.get(verb, 0)
    ), [at_once]


@pytest.mark.parametrize(
    "at_once, words",
    [
        (11.96, "At most 12 ran at once, as a mean of 15 min."),
        (0.26, "At most 0.3 ran at once, as a mean of 15 min."),
        (0.0004, "They were so short that on average less than 0.1 ran at once."),
        (0.0, "on."),
    ],
)
def test_what_ran_at_once_is_never_said_to_be_none_where_something_ran(at_once, words):
    seen, means = seen_at_once(at_once)
    text = charts.throughput_words(seen, [3], means)
    assert text.startswith("3 attempts ended: 3 completed and 0 failed") and text.endswith(words)
    assert "most 0 " not in text


# ---------------------------------------------------------------- the timeline


def seen_with(attempts, weight=1.0):
    detail = Detail(attempts, weight, int(len(attempts) * weight))
    return SimpleNamespace(detail=detail, since=NOW - 86400, now=NOW)


def attempts(count, workers, slots=1, seconds=30.0):
    chance = random.Random(3)
    found = []
    for place in range(count):
        began = NOW - 86400 + (place // slots) * 86400.0 * slots / count
        failed = chance.random() < 0.1
        facts = {"outcome": "failed" if failed else "completed", "has_failed": failed, "job": "job-%d" % place}
        found.append(
            SimpleNamespace(began=began, ended=began + seconds, worker="w-%d" % (place % workers), **facts)
        )
    return found


def rects(html):
    """(class, left, top, right, bottom) of each rectangle of the plot."""
    found = []
    for one in Page(html).of("rect"):
        if "%" in one["x"]:
            x, y, width, height = (float(one[key].rstrip("%")) for key in ("x", "y", "width", "height"))
            found.append((one["class"], x, y, x + width, y + height))
    return found


def test_few_attempts_are_bars_and_each_tells_of_itself():
    html = timeline.timeline(seen_with(attempts(300, 3)), False)
    found = rects(html)
    assert len(found) == 300 and "job-299: completed, 30 s" in html
    assert all(0 <= left < right <= 100.5 for _, left, _, right, _ in found)


@pytest.mark.parametrize(
    "count, workers, slots", [(1001, 2, 4), (20000, 3, 12), (20000, 500, 20), (30000, 24, 24), (5000, 5000, 1)]
)
def test_many_are_strips_of_bounded_number_in_lanes_of_bounded_number(count, workers, slots):
    html = timeline.timeline(seen_with(attempts(count, workers, slots)), False)
    found = rects(html)
    assert 0 < len(found) <= timeline.MOST_STRIPS
    assert all(0 <= left < right <= 100.5 for _, left, _, right, _ in found)
    lanes = {round(bottom, 1) for kind, _, _, _, bottom in found if kind == "bad" or bottom}
    assert len(lanes) <= timeline.MOST_LANES * (timeline.LEVELS + 1)
    if workers > timeline.MOST_LANES:
        assert "20 of %s workers" % "{:,}".format(workers) in html


def test_a_strip_shows_how_busy_a_lane_was_and_how_much_of_that_failed():
    half = [SimpleNamespace(began=NOW - 86400, ended=NOW - 43200, has_failed=True)]
    assert timeline.strip(seen_with([]), half, 120, 1.0) == [("bad", 0.0, 50.0, 0.0, 1.0)]


def test_of_a_sample_each_worker_has_one_lane():
    html = timeline.timeline(seen_with(attempts(2000, 3, 12), weight=50.0), False)
    assert ", 4 slots" not in html and "2,000 of 100,000 attempts" in html


def test_nothing_to_draw_is_said_so():
    html = timeline.timeline(seen_with([]), False)
    assert "Nothing ran in this time." in html and rects(html) == []


def test_bins_of_a_day_leave_room_for_the_timeline():
    assert 2 * bins.of_time(0, 86400, 0, 120).count + timeline.MOST_STRIPS + 100 <= 2000
