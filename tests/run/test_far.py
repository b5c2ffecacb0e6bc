"""What is known of the far side of an attempt: by control programs that are never waited for."""

import sys
import time
import types

import pytest
from helpers.waiting import wait_until

from queuectl_lib.host import control
from queuectl_lib.jobs import launchers
from queuectl_lib.run import far


class Side:
    """A far side that a test plays: what its control programs exit with, and which of them were run."""

    def __init__(self, folder, **changes):
        self.folder = folder
        self.answer("alive", 0)
        self.answer("end", 0)
        line = 'echo "$1" >>%s/calls; echo "said by $1" >&2; exit "$(cat %s/$2)"' % (folder, folder)
        own = {
            "run": ["true"],
            "end": ["sh", "-c", line, "sh", "{signal}", "end"],
            "alive": ["sh", "-c", line, "sh", "alive", "alive"],
        }
        self.launchers = {"there": launchers.check_one("there", dict(own, **changes), "launchers: there")}
        claim = types.SimpleNamespace(launcher="there", launcher_args=(), env={}, token="0" * 16, id="one", cwd="/")
        claim.far_attempt, claim.far_token = 1, claim.token
        self.far = far.Far(claim, self.launcher, 3.0)

    def launcher(self):
        return launchers.named(self.launchers, "there") if self.launchers else None

    def answer(self, verb, code):
        (self.folder / verb).write_text(str(code))

    def calls(self):
        path = self.folder / "calls"
        return path.read_text().split() if path.exists() else []

    def turn_until(self, wanted, what, words):
        wait_until(lambda: self.far.turn(wanted) or what(), words)


Side.launcher_name = "there"


@pytest.fixture
def side(tmp_path):
    return Side(tmp_path)


def test_gone_is_believed_at_once_of_one_whose_client_told_how_it_ended(side):
    side.answer("alive", 1)
    side.turn_until("", lambda: side.far.is_gone, "alive to be heard")
    assert side.calls() == ["alive"] and side.far.trouble == ""


@pytest.mark.parametrize("text", ["import no_such_module_of_it", "if True", "  x = 1\n y = 2", "1 / 0", None])
def test_a_mistake_of_a_python_that_asks_is_no_gone(tmp_path, text):
    """It ends with 1, too; also where the module that it is to run is missing."""
    words = ["-c", text] if text else ["-m", "no_such_module_of_it"]
    side = Side(tmp_path, alive=[sys.executable, *words])
    side.turn_until("", lambda: side.far.trouble, "alive to be heard")
    assert "exit code 1" in side.far.trouble and not side.far.is_gone


def test_of_one_whose_client_was_killed_gone_must_be_said_twice_with_time_in_between(side):
    side.answer("alive", 1)
    side.far.is_doubted = True
    began = time.monotonic()
    side.turn_until("", lambda: side.far.is_gone, "alive to be heard twice")
    assert side.calls() == ["alive"] * 2 and time.monotonic() - began >= far.SURE_SECONDS


def test_one_that_shows_up_between_the_two_is_not_gone(side):
    side.far.is_doubted = True
    side.answer("alive", 1)
    side.turn_until("", lambda: side.far.gone_once, "it to be gone for the first time")
    side.answer("alive", 0)
    side.far.ask_at = 0.0
    side.turn_until("", lambda: side.far.there_since and side.far.control is None, "it to be there")
    side.answer("alive", 1)
    before = len(side.calls())
    side.turn_until("", lambda: side.far.is_gone, "it to be gone")
    assert len(side.calls()) == before + 2


@pytest.mark.parametrize("code", [2, 75, 127, 255])
def test_any_other_answer_is_none_and_is_asked_for_again_ever_more_seldom(side, monkeypatch, code):
    monkeypatch.setattr(far, "UNKNOWN_SECONDS", 0.01)
    monkeypatch.setattr(far, "LONGEST_SECONDS", 0.02)
    side.answer("alive", code)
    side.turn_until("", lambda: len(side.calls()) > 2, "it to be asked again")
    assert not side.far.is_gone and side.far.ask_pause == 0.02
    assert side.far.trouble == (
        "launcher there does not say whether the job still runs: said by alive (exit code %d)" % code
    )
    side.answer("alive", 0)
    side.turn_until("", lambda: side.far.there_since is not None, "an answer")
    assert side.far.trouble == ""


def test_it_is_ended_gently_then_hard_and_asked_after_until_it_is_gone(side):
    side.turn_until("TERM", lambda: side.far.delivered == "TERM" and "alive" in side.calls(), "TERM to be delivered")
    side.turn_until("KILL", lambda: side.far.delivered == "KILL", "KILL to be delivered")
    side.answer("alive", 1)
    side.turn_until("KILL", lambda: side.far.is_gone, "it to be gone")
    assert [call for call in side.calls() if call != "alive"] == ["TERM", "KILL"] and side.calls()[-1] == "alive"


def test_an_ending_that_fails_is_told_and_what_had_ended_is_gone_all_the_same(side):
    side.answer("end", 1)
    side.turn_until("TERM", lambda: side.far.trouble, "the failure to be told")
    assert side.far.trouble == "launcher there cannot end the job: said by TERM (exit code 1)"
    side.answer("alive", 1)
    side.turn_until("TERM", lambda: side.far.is_gone, "it to be gone")
    assert side.far.trouble == ""


def test_an_ending_that_fails_is_tried_again(side, monkeypatch):
    monkeypatch.setattr(far, "UNKNOWN_SECONDS", 0.01)
    side.answer("end", 1)
    side.turn_until("TERM", lambda: side.calls().count("TERM") > 1, "a second try")
    side.answer("end", 0)
    side.turn_until("TERM", lambda: side.far.delivered == "TERM", "it to be delivered")


def test_what_outlives_kill_is_sent_it_again_and_told_of(side, monkeypatch):
    monkeypatch.setattr(far, "KILLED_SECONDS", 0.05)
    monkeypatch.setattr(far, "DEFIANT_SECONDS", 0.05)
    side.turn_until("KILL", lambda: side.calls().count("KILL") > 1, "KILL to be sent again")
    side.turn_until("KILL", lambda: "lives on after KILL" in side.far.trouble, "it to be told")
    assert not side.far.is_gone


def test_one_that_is_not_in_config_json_any_more_tells_nothing(side):
    kept, side.launchers = side.launchers, {}
    side.far.turn("")
    assert side.far.trouble == "launcher there is not in config.json any more" and not side.far.is_gone
    side.launchers, side.far.ask_at = kept, 0.0
    side.turn_until("", lambda: side.far.there_since, "it to be asked once it is there again")


def test_a_control_program_that_hangs_is_killed_with_what_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr(control, "CONTROL_SECONDS", 0.3)
    path = tmp_path / "sleeper"
    side = Side(tmp_path, alive=["sh", "-c", "sleep 60 & echo $! >%s; wait" % path])
    side.turn_until("", lambda: side.far.trouble, "it to be given up")
    assert side.far.trouble.endswith("sh did not end within 0 s")
    pid = int(path.read_text())
    wait_until(lambda: not is_running(pid), "what it started to be killed, too")


def is_running(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def test_a_flood_of_words_is_read_in_pieces_and_its_beginning_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(control, "CONTROL_SECONDS", 1.0)
    side = Side(tmp_path, alive=["sh", "-c", "while :; do echo no such engine; done >&2"])
    slowest = 0.0
    while not side.far.trouble:
        began = time.monotonic()
        side.far.turn("")
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 1.0 and not side.far.is_gone


def test_one_that_cannot_be_started_is_no_answer(tmp_path):
    side = Side(tmp_path, alive=["/no/such/program"])
    side.far.turn("")
    assert side.far.trouble == (
        "launcher there does not say whether the job still runs: /no/such/program: No such file or directory"
    )
    bare = Side(tmp_path, alive=["no-such-program"])
    bare.far.turn("")
    assert "no-such-program: the program was not found on PATH" in bare.far.trouble


def test_where_it_has_no_alive_the_end_of_its_own_process_is_believed(tmp_path):
    side = Side(tmp_path, alive=None)
    side.far.turn("")
    assert side.far.is_gone and side.calls() == []
