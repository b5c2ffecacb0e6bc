"""The claim of a job that a launcher starts: who launches it, which far job it joins, and that it is on the disk."""

import types

import pytest
from helpers.queue import NOW, SETTINGS, enqueue, rows, set_queue

from queuectl_lib.jobs import states
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.run import concluding, far_attempt, launching
from queuectl_lib.run.spare_files import SpareFiles
from queuectl_lib.store import claiming

LAUNCHERS = {"a": {"run": ["/bin/sh", "-c", "exit 0"]}, "b": {"run": ["/bin/true"]}, "c": {"run": ["/bin/true"]}}
OF_ALL = SETTINGS.but(launchers=LAUNCHERS, launcher="c")


def claim(queue, settings, now=NOW):
    return queue.exchange("w-1", [], 1, now, settings)[1][0]


@pytest.mark.parametrize(
    "own, of_queue, setting, launcher",
    [
        (None, None, None, None),
        (None, None, "c", "c"),
        (None, "b", "c", "b"),
        ("a", "b", "c", "a"),
        ("none", "b", "c", None),
        (None, "none", "c", None),
        ("a", None, None, "a"),
    ],
)
def test_the_launcher_is_that_of_the_job_else_of_its_queue_else_the_setting(queue, own, of_queue, setting, launcher):
    set_queue(queue, "q", launcher=of_queue)
    enqueue(queue, queue="q", **({"launcher": own} if own else {}))
    held = claim(queue, SETTINGS.but(launchers=LAUNCHERS, launcher=setting))
    assert held.launcher == launcher
    assert [row["launcher"] for row in rows(queue, "SELECT launcher FROM attempts")] == [launcher]


def test_words_for_it_are_those_of_the_job_else_of_its_queue(queue):
    set_queue(queue, "q", launcher="b", launcher_args='["-x"]')
    for own in (None, ["--mem=4G", "-c 2"]):
        enqueue(queue, queue="q", **({"launcher_args": own} if own else {}))
        assert claim(queue, OF_ALL).launcher_args == (own or ["-x"])


def end(queue, held, kind, joins):
    outcome = Outcome(held, kind, NOW)
    outcome.joins, outcome.delay = joins, 1.0
    assert queue.exchange("w-1", [outcome], 0, NOW, OF_ALL)[0] == []


def test_an_attempt_joins_what_the_one_before_it_has_left_there_and_only_then(queue):
    enqueue(queue, max_retries=9)
    first = claim(queue, OF_ALL)
    end(queue, first, states.SNOOZED, joins=True)
    second = claim(queue, OF_ALL, NOW + 10)
    end(queue, second, states.GIVEN_BACK, joins=True)
    third = claim(queue, OF_ALL, NOW + 20)
    assert [one.far_attempt for one in (first, second, third)] == [1, 1, 1]
    adopted = claiming.running_attempt(queue.database, third.seq, third.token)[0]
    assert adopted.far_token == first.token  # who adopts it knows
    end(queue, third, states.FAILED, joins=False)
    fourth = claim(queue, OF_ALL, NOW + 10000)
    assert fourth.far_attempt == fourth.number == 4
    noted = [row["launcher"] for row in rows(queue, "SELECT launcher FROM attempts ORDER BY number")]
    joined = "c#1:%s" % first.token
    assert noted == [joined + "+", joined + "+", joined, "c"]
    assert [one.far_token for one in (second, third, fourth)] == [first.token, first.token, fourth.token]


class Current:
    settings = OF_ALL

    def refresh(self):
        pass


def far(queue, held):
    return far_attempt.FarAttempt(queue, held, Current(), lambda text: None)


def test_a_claim_is_on_the_disk_before_its_far_job_starts(queue, monkeypatch):
    """A power cut here takes back what is not: and the job there would be started again."""
    enqueue(queue)
    one = far(queue, claim(queue, OF_ALL))
    order = []
    monkeypatch.setattr(queue.database, "catch_up", lambda: order.append("synced"))
    child = types.SimpleNamespace(pid=1)
    monkeypatch.setattr(launching, "launch_checked", lambda *given: order.append("launched") or child)
    one.tree.hold = lambda child: None
    one.start(OF_ALL, SpareFiles(queue))
    assert order[:2] == ["synced", "launched"]


@pytest.mark.parametrize(
    "text, shell, words",
    [
        ("echo one", None, ["/bin/sh", "-c", "echo one"]),
        ("-x", None, ["/bin/sh", "-c", " -x"]),
        ("echo $0", "/bin/bash", ["/bin/bash", "-c", "echo $0"]),
    ],
)
def test_a_text_is_run_there_by_its_shell(queue, text, shell, words):
    enqueue(queue, command=text, **({"shell": shell} if shell else {}))
    assert far(queue, claim(queue, OF_ALL)).far_words(OF_ALL) == words


def test_a_script_that_names_its_interpreter_is_a_file_here_and_cannot_go(queue):
    enqueue(queue, command="#!/bin/sh\necho one")
    with pytest.raises(launching.CannotStart, match="cannot go through a launcher"):
        far(queue, claim(queue, OF_ALL)).far_words(OF_ALL)


def test_one_whose_program_is_missing_here_is_tried_again_later(queue):
    """A worker that cron has started has another PATH than who added the job."""
    enqueue(queue)
    current = Current()
    current.settings = OF_ALL.but(launchers={"c": {"run": ["no-such-program-of-it"]}})
    one = far_attempt.FarAttempt(queue, claim(queue, OF_ALL), current, lambda text: None)
    with pytest.raises(launching.NotNow, match="launcher c: the program no-such-program-of-it was not found on PATH"):
        one.startable({}, OF_ALL)


def test_a_directory_that_is_not_there_is_the_fault_of_the_job(queue):
    enqueue(queue, cwd="/no/such/directory")
    with pytest.raises(launching.CannotStart) as caught:
        far(queue, claim(queue, OF_ALL)).startable({}, OF_ALL)
    assert not isinstance(caught.value, launching.NotNow)


def test_one_that_config_json_has_not_is_tried_again_later(queue):
    enqueue(queue, launcher="gone")
    with pytest.raises(launching.NotNow, match="launcher gone is not in config.json"):
        far(queue, claim(queue, OF_ALL)).startable({}, OF_ALL)


@pytest.mark.parametrize("own", [{}, {"ok_codes": [0, 75]}, {"dead_codes": [64, 75]}, {"later_codes": [3]}])
@pytest.mark.parametrize("key", ["ok_codes", "dead_codes"])
def test_the_launchers_own_failure_is_one_whatever_lists_name_its_code(queue, own, key):
    """It is no success of a job that has not run, and no death of one that may run on."""
    enqueue(queue, **own)
    current = Current()
    current.settings = OF_ALL.but(launchers={"c": {"run": ["/bin/true"], "later_codes": [75]}}, **{key: [1, 75]})
    one = far_attempt.FarAttempt(queue, claim(queue, OF_ALL), current, lambda text: None)
    one.set_deadline(current.settings, 0.0)
    assert concluding.judgement(one, 75, False).kind == states.SNOOZED
    assert concluding.judgement(one, 1, False).is_last == (key == "dead_codes" and "dead_codes" not in own)
