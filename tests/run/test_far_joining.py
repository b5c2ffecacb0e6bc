"""A far job that the next attempt is to join: whatever comes between, it is joined or ended, and never forgotten."""

import pytest
from helpers.engine import add_launcher
from helpers.far_world import POLITE, World
from helpers.marks import posix_only
from helpers.queue import NOW, SETTINGS, enqueue
from helpers.waiting import wait_until

from queuectl_lib.errors import QueueError
from queuectl_lib.jobs import states
from queuectl_lib.jobs.attempts import Outcome
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.run import far_attempt, slots
from queuectl_lib.run.pace import Pace
from queuectl_lib.run.spare_files import SpareFiles
from queuectl_lib.store import cancelling, claiming, exporting, finding
from queuectl_lib.store.selecting import Selection

pytestmark = posix_only

JOINS = {"run": ["/bin/true", "{far}"], "attach": True, "later_codes": [75]}
WITH = SETTINGS.but(launchers={"a": JOINS, "b": {"run": ["/bin/true"]}}, launcher="a")


def claim(queue, settings=WITH, now=NOW):
    return queue.exchange("w-1", [], 1, now, settings)[1][0]


def record(queue, outcome, settings=WITH, now=NOW):
    """True where the storage took it."""
    outcome.finished = now
    return not queue.exchange("w-1", [outcome], 0, now, settings)[0]


def lose(queue, held, now=NOW):
    """The line to the far job of *held* is lost: the next attempt is to join it."""
    outcome = Outcome(held, states.SNOOZED, now)
    outcome.joins, outcome.delay = True, 1.0
    assert record(queue, outcome, now=now)


def world(tmp_path):
    """A home with an engine whose jobs the next attempt joins."""
    return World(tmp_path / "home", attach=True)


class Current:
    def __init__(self, settings):
        self.settings = settings

    def refresh(self):
        pass


def far(queue, held, settings=WITH):
    return far_attempt.FarAttempt(queue, held, Current(settings), lambda text: None)


# ---------------------------------------------------------------- an attempt that does not come to it


@pytest.mark.parametrize("launchers, cwd", [({"b": WITH.launchers["b"]}, "/"), (WITH.launchers, "/no/such/place")])
def test_an_attempt_that_cannot_start_leaves_the_far_job_to_the_next(queue, launchers, cwd):
    """Its launcher is away for a moment, or its directory: at no cost, for what runs there may run on."""
    enqueue(queue, max_retries=1, cwd=cwd)
    first = claim(queue)
    lose(queue, first)
    second = claim(queue, now=NOW + 10)
    settings = WITH.but(launchers=launchers)
    refused = slots.Slots(1, Pace()).start(far(queue, second, settings), settings, SpareFiles(queue))
    assert record(queue, refused, now=NOW + 10)
    third = claim(queue, now=NOW + 1000)
    assert (third.far_token, third.attempts, refused.kind) == (first.token, 1, states.SNOOZED)


# ---------------------------------------------------------------- another launcher meanwhile


@pytest.mark.parametrize("setting, own", [(None, None), ("b", None), ("a", "none"), ("a", "b")])
def test_what_is_to_be_joined_is_joined_whatever_launcher_was_chosen_since(queue, setting, own):
    """By `config`, or by `edit`: it may run there, so the job runs nowhere else until that is over."""
    job = enqueue(queue, max_retries=9)
    first = claim(queue)
    lose(queue, first)
    with queue.database.writing() as connection:
        policy = '{"launcher": "%s"}' % own if own else None
        connection.execute("UPDATE jobs SET policy = ? WHERE id = ?", (policy, job))
    chosen = WITH.but(launcher=setting)
    second = claim(queue, chosen, NOW + 10)
    assert (second.launcher, second.far_attempt, second.far_token) == ("a", 1, first.token)
    assert record(queue, Outcome(second, states.FAILED, NOW), chosen, NOW + 10)
    assert claim(queue, chosen, NOW + 1000).launcher == {"none": None}.get(own, own or setting)


def test_where_its_launcher_attaches_no_more_it_is_ended_before_the_job_starts_anew(tmp_path):
    with world(tmp_path) as own:
        own.home.start()
        own.begin("job", POLITE, "--backoff", "fixed:2s")
        own.engine.cut()
        wait_until(lambda: own.job("job")["state"] == "pending", "its line to be lost")
        add_launcher(own.home, "far", own.engine.launcher())
        own.engine.wait_for_start("job", 2)
        assert (own.engine.twice(), own.job("job")["attempts"]) == ([], 1)
        own.home.run("worker", "stop", "--now")


# ---------------------------------------------------------------- cancelled meanwhile


def test_a_cancel_beside_a_lost_line_is_not_done_before_the_far_job_is_over(queue):
    """Its worker has seen the line fall, and records that once the cancel was asked for."""
    enqueue(queue)
    held = claim(queue)
    queue.cancel([held.id], NOW)
    outcome = Outcome(held, states.SNOOZED, NOW)
    outcome.joins = True
    assert not record(queue, outcome)
    adopted = claiming.running_attempt(queue.database, held.seq, held.token)[0]
    assert far(queue, adopted).joins() is False


def test_a_cancel_ends_what_runs_there_after_the_death_of_this_host(tmp_path):
    with world(tmp_path) as own:
        own.home.start()
        own.begin("job", POLITE)
        own.kill_all()
        own.ask_to_cancel("job")
        own.home.start()
        own.ended("job", "cancelled")
        assert own.engine.running() == []


def test_a_cancel_while_the_line_is_down_ends_what_runs_there(tmp_path):
    with world(tmp_path) as own:
        own.home.start()
        own.begin("job", POLITE, "--backoff", "fixed:1h")
        own.engine.cut()
        wait_until(lambda: own.job("job")["state"] == "pending", "its line to be lost")
        own.home.run("cancel", "job")
        assert (own.engine.running(), own.engine.started("job"), own.engine.joined("job")) == ([], 1, 0)
        assert [row["code"] for row in own.engine.ledger() if row["kind"] == "end"] == [42]


@pytest.mark.parametrize("by_id", [True, False])
def test_until_then_it_is_under_way_and_no_other_job_is(queue, by_id):
    """One job that is cancelled by its id, or all that wait; others that wait are cancelled at once."""
    names = [enqueue(queue, id=name) for name in ("joins", "plain")]
    first = claim(queue)
    lose(queue, first)
    if by_id:
        asked = dict(queue.cancel(names, NOW + 1))
    else:
        verb = cancelling.Cancelling(states.HOLDING, NOW + 1)
        cancelling.cancel_all(queue.database, Selection(states.HOLDING), verb, lambda: None)
        asked = {"plain": None, **verb.asked}
    assert finding.states_of(queue.database, names) == ["processing", "cancelled"]
    adopted = claiming.running_attempt(queue.database, first.seq, asked["joins"])[0]
    assert (adopted.far_token, adopted.launcher, asked["plain"]) == (first.token, "a", None)


def test_one_that_may_run_there_does_not_give_way(queue):
    enqueue(queue, id="joins", unique="key")
    lose(queue, claim(queue))
    maker = JobMaker(1, "/", 0o022, NOW)
    with pytest.raises(QueueError, match="job joins with the key \"key\" may run by its launcher"):
        queue.enqueue(maker.row({"command": "true", "unique": "key"}), replaces=True)
    assert finding.states_of(queue.database, ["joins"]) == ["pending"]


def test_nor_is_it_handed_over_to_another_program(queue):
    names = [enqueue(queue, id=name) for name in ("joins", "plain")]
    lose(queue, claim(queue))
    with queue.database.reading() as connection:
        seen = {row["seq"]: row["updated_at"] for row in connection.execute("SELECT seq, updated_at FROM jobs")}
    exporting.take(queue.database, exporting.Taking(seen, "exported", NOW + 1), lambda: None)
    assert finding.states_of(queue.database, names) == ["pending", "cancelled"]


# ---------------------------------------------------------------- config.json changed in that moment


def test_what_was_found_to_be_joined_is_so_where_its_launcher_goes_in_that_moment(queue):
    """Between the look that needed no answer of the engine, and what is recorded of it."""
    enqueue(queue)
    one = far(queue, claim(queue))
    one.adopt(NOW, WITH)
    one.code = 75
    assert one.is_known()
    one.current.settings = WITH.but(launchers={}, launcher=None)
    outcome = one.conclude()
    assert (outcome.kind, outcome.joins) == (states.SNOOZED, True)
