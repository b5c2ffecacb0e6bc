"""The lines of `top`, drawn without a terminal: of any size, for any queue, with whatever text jobs have."""

import time

import pytest

from queuectl_lib import times
from queuectl_lib.commands import layout, top_lines, top_tables, top_view
from queuectl_lib.jobs import states

NOW = 1800000000.0
HOSTILE = [
    "\x1b[2J\x1b]0;title\x07",
    "a\rb\nc\td",
    "\u202eevil\u2066",
    "\x9b31m\x00",
    "\ud800 half",
    "e" + "\u0301" * 3000,
    "日本語" * 300,
    "x" * 100000,
    "%s %d {0}",
    "\U0001f469\u200d\U0001f4bb",
]


def at(seconds):
    return times.utc_text(NOW + seconds)


def running(number, command="make -j4", **more):
    job = {"id": "run%05d" % number, "state": "processing", "name": None, "command": command, "worker": "w-1"}
    job.update(started_at=at(-60 - number), seconds=60.0 + number, median=None, p95=None, is_long=False)
    return dict(job, progress={"percent": 40, "text": "half"}, line="last words", **more)


def failure(number, state="dead", says="exit 3: no such file"):
    again = at(90) if state == "failed" else None
    job = {"id": "bad%05d" % number, "state": state, "failed_at": at(-number), "next_run_at": again}
    return dict(job, command="false", says=says, exit_code=3)


def coming(number, command="true"):
    return {"id": "next%05d" % number, "state": "pending", "next_run_at": at(number), "command": command}


def end(number, command="true", verdict="completed"):
    job = {"id": "end%05d" % number, "ended": number, "state": "completed", "name": None, "command": command}
    return dict(job, verdict=verdict, finished_at=at(-number), seconds=1.5)


def facts(many=0, **more):
    counts = dict.fromkeys(states.STATES, many)
    found = {"at": NOW, "counts": counts, "database": "/home/me/queuectl.db", "workers": 2, "slots": 4, "left": None}
    found.update(lately={"ended": 12, "failed": 1, "is_more": False}, stuck=None)
    kinds = {"running": running, "failures": failure, "next": coming, "ends": end}
    found.update({name: [make(number) for number in range(many)] for name, make in kinds.items()})
    return dict(found, **more)


def hostile():
    jobs = {
        "running": [dict(running(n), command=one, worker=one, name=one, id=one) for n, one in enumerate(HOSTILE)],
        "failures": [dict(failure(n, says=one), state=one) for n, one in enumerate(HOSTILE)],
        "next": [coming(n, one) for n, one in enumerate(HOSTILE)],
        "ends": [end(n, one, one) for n, one in enumerate(HOSTILE)],
    }
    for job, one in zip(jobs["running"], HOSTILE):
        job.update(line=one, progress={"percent": 1e300, "text": one})
    stuck = {"sentence": "no worker " + HOSTILE[0] * 20, "lines": [HOSTILE[6]]}
    return facts(5, database=HOSTILE[6], stuck=stuck, **jobs)


WIDE = facts(3, running=[running(n, "日本語の出力です テスト" * 5, p95=2.0) for n in range(3)])
QUEUES = {"empty": facts(), "few": facts(2), "3000": facts(3000), "hostile": hostile(), "wide": WIDE}
for job in WIDE["running"]:
    job.update(line="ﾊﾝｶｸ 全角 e\u0301", median=1.0)


def drawn(facts, view=None, size=(80, 24), encoding="utf-8"):
    lines = top_lines.screen(facts, view or top_view.View(), size, encoding=encoding)
    return ["".join(text for text, _ in line) for line in lines]


@pytest.mark.parametrize("height", [1, 4, 10, 24, 50])
@pytest.mark.parametrize("columns", [10, 40, 60, 80, 140])
@pytest.mark.parametrize("name", sorted(QUEUES))
def test_each_screen_has_its_lines_and_none_is_too_wide_or_acts_on_the_terminal(name, columns, height):
    for view in (top_view.View(), top_view.View(["dead"]), with_all_said()):
        lines = drawn(QUEUES[name], view, (columns, height))
        assert len(lines) == height
        assert [line for line in lines if layout.cells(line) > columns - 1] == []
        assert [line for line in lines if not line.isprintable()] == []
        assert "\x1b" not in "".join(lines)


def with_all_said():
    view = top_view.View()
    view.filter, view.sort, view.is_paused = "a", 2, True
    view.question = ("cancel", HOSTILE[0])
    return view


def test_a_small_screen_keeps_what_matters_most():
    lines = drawn(facts(9), size=(40, 10))
    assert "9 running" in lines[1] and "RUNNING" in "".join(lines) and "FAILED" in "".join(lines)
    assert lines[-1].startswith("q ends")


def test_all_four_sections_share_the_lines():
    text = "\n".join(drawn(facts(3000)))
    for word in ("RUNNING", "FAILED", "NEXT", "ENDED", "run00000", "bad00000", "next00000", "end00000"):
        assert word in text
    assert "of 3,000)" in text, "how many there are stands beside what is shown of them"


def test_what_no_section_needs_goes_to_the_others():
    found = facts(0, running=[running(n) for n in range(100)])
    sections = top_view.View().sections(found, 30)
    assert [(one.name, one.rows) for one in sections] == [("running", 29)]


def test_3000_jobs_are_drawn_in_little_time():
    """The limits of what is read are much lower; this only says that nothing is quadratic."""
    began = time.process_time()
    drawn(QUEUES["3000"], size=(140, 50))
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "seconds, median, p95, expected",
    [
        (0, 50, 100, "[......:....|] ~50s"),
        (30, 50, 100, "[###...:....|] ~50s"),
        (80, 50, 100, "[######:##..|] ~50s"),
        (400, 50, 100, "[#:#|########] ~50s"),
        (5, 0.2, 1, "[:#|#########] <1s"),
        (5, 0.0, 0.0, "[|###########] <1s"),
        (5, None, None, ""),
    ],
)
def test_a_bar_has_marks_at_the_median_and_at_the_95th_percentile(seconds, median, p95, expected):
    assert top_tables.bar(seconds, median, p95) == expected


def styles_of(job):
    lines = top_lines.screen(facts(0, running=[job]), top_view.View(), (140, 24))
    [line] = [line for line in lines if any(job["id"] in text for text, _ in line)]
    return {style for _, style in line}


def test_what_runs_longer_than_usual_is_in_another_colour():
    assert styles_of(dict(running(1), median=50.0, p95=100.0)) == {""}
    assert "failed" in styles_of(dict(running(1), median=5.0, p95=10.0))
    assert "dead" in styles_of(dict(running(1), median=5.0, p95=10.0, is_long=True))


def test_a_running_job_shows_all_where_there_is_room_and_the_last_line_everywhere():
    job = dict(running(7), median=50.0, p95=100.0)
    for columns, words in (
        (140, ("run00007", "67s", "~50s", "40% half", "w-1", "make -j4", "last words")),
        (80, ("run00007", "67s", "~50s", "40% half", "last words")),
        (60, ("run00007", "67s", "[", "last words")),
        (40, ("run00007", "last words")),
    ):
        [line] = [line for line in drawn(facts(0, running=[job]), size=(columns, 24)) if "run00007" in line]
        assert all(word in line for word in words), (columns, line)


def test_a_job_that_wrote_nothing_is_told_by_its_command():
    [line] = [line for line in drawn(facts(0, running=[dict(running(1), line="")])) if "run00001" in line]
    assert line.endswith("$ make -j4")


def test_what_is_wrong_stands_above_all_with_what_to_type():
    stuck = {"sentence": "nothing runs: 7 jobs are due and no worker is alive", "lines": ["queuectl.py worker start"]}
    lines = drawn(facts(1, stuck=stuck))
    assert lines[3] == stuck["sentence"] and lines[4] == "  try: queuectl.py worker start"


def test_an_encoding_without_these_letters_has_their_numbers():
    for line in drawn(WIDE, size=(80, 24), encoding="ascii"):
        assert line.isascii() and len(line) <= 79


# ---------------------------------------------------------------- choosing


def keys_shown(view, found, lines=24):
    return {one.name: [job["id"] for job in one.shown()] for one in view.sections(found, lines)}


def test_the_chosen_job_is_always_in_sight():
    found, view = facts(30), top_view.View()
    for steps in [1] * 70 + [-1] * 30 + [10**6, -(10**6), 7]:
        view.move(found, steps)
        sections = {one.name: one for one in view.sections(found, 12)}
        job = view.chosen_job(found)
        assert job["id"] in [one["id"] for one in sections[view.chosen[0]].shown()]
    assert [line for line in drawn(found, view) if line.startswith("> ")]


def test_a_chosen_job_is_followed_to_where_it_has_gone():
    found, view = facts(3), top_view.View()
    view.move(found, 1)
    assert view.chosen == ("running", "run00000")
    gone = dict(found, running=found["running"][1:], ends=[dict(end(9), id="run00000"), *found["ends"]])
    view.sections(gone, 24)
    assert view.chosen == ("ends", ("run00000", 9))
    view.sections(dict(found, running=[]), 24)
    assert view.chosen is None and view.chosen_job(found) is None, "no other job takes its place by itself"


def test_a_filter_and_states_leave_out_what_does_not_fit():
    found, view = facts(20), top_view.View()
    view.filter = "RUN0001"
    assert keys_shown(view, found) == {"running": ["run%05d" % n for n in range(10, 20)]}
    assert "(10 of 20 looked at)" in "\n".join(drawn(found, view))
    assert set(keys_shown(top_view.View(["dead"]), found)) == {"failures"}
    view.filter = "nothing at all"
    assert "no job that is looked at fits" in "\n".join(drawn(found, view))


def test_what_runs_is_sorted_as_wanted():
    jobs = [running(1), dict(running(2), p95=1.0, median=1.0), running(3)]
    view = top_view.View()
    for order in (["run00001", "run00002", "run00003"], ["run00003", "run00002", "run00001"], None):
        ids = keys_shown(view, facts(0, running=jobs))["running"]
        assert ids == order if order else ids[0] == "run00002"
        view.sort += 1
