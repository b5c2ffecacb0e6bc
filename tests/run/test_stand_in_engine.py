"""The stand-in engine of the tests itself: what runs there is far, ends as it should, and is told of truly."""

import os
import signal
import subprocess
import time

import pytest
from helpers.engine import Engine, configured
from helpers.home import contents
from helpers.marks import posix_only
from helpers.waiting import wait_until

pytestmark = posix_only

WAITING = "trap 'echo ended > %s; exit 42' TERM; echo $$ > %s; while :; do sleep 0.02; done"


@pytest.fixture(scope="module")
def engine():
    with Engine() as engine:
        yield engine


def begun(engine, token, *words, **more):
    return subprocess.Popen(engine.words("run", token, "--", *words), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)  # fmt: skip


@pytest.mark.parametrize("code", [0, 1, 3, 75, 126, 127, 255])
def test_a_code_comes_back(engine, code):
    assert engine.call("run", "c%d" % code, "--", "/bin/sh", "-c", "exit %d" % code) == (code, b"", "")


def test_a_signal_comes_back_as_128_and_its_number(engine):
    assert engine.call("run", "s", "--", "sh", "-c", "kill -9 $$")[0] == 137


def test_five_megabytes_come_back_exact_and_apart(engine):
    script = "i=0; while [ $i -lt 80 ]; do head -c 65537 /dev/urandom | tee -a %s; i=$((i + 1)); done; echo there >&2"
    copy = os.path.join(engine.folder, "copy")
    code, stdout, stderr = engine.call("run", "mb", "--", "sh", "-c", script % copy)
    with open(copy, "rb") as file:
        assert (code, stdout == file.read(), len(stdout), stderr) == (0, True, 80 * 65537, "there\n")


def test_what_runs_there_is_out_of_sight_and_outlives_its_client(engine):
    ended, pid = (os.path.join(engine.folder, name) for name in ("ended", "pid"))
    environment = dict(os.environ, QUEUECTL_TOKEN="secret")
    client = begun(engine, "far", "sh", "-c", WAITING % (ended, pid), env=environment)
    number = wait_until(lambda: contents(pid), "it to begin")
    environment = contents("/proc/%s/environ" % number.strip())
    assert "secret" not in environment
    client.kill()
    client.communicate()
    assert engine.call("alive", "far")[0] == 0
    assert is_there(int(number))
    assert engine.call("end", "far", "TERM")[0] == 0
    wait_until(lambda: engine.call("alive", "far")[0] == 1, "it to be gone")
    assert contents(ended) == "ended\n"
    assert [row["kind"] for row in engine.ledger() if row["token"] == "far"] == ["start", "end"]
    assert engine.ledger()[-1]["code"] == 42


def test_one_that_joins_gets_all_of_it(engine):
    options = ["j", "--attach", "--job", "joined", "--", "sh", "-c", "echo one; sleep 0.3; echo two; exit 5"]
    client = subprocess.Popen(engine.words("run", *options), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert client.stdout.readline() == b"one\n"
    engine.cut()
    assert (client.wait(), client.stdout.read()) == (75, b"")
    client.stdout.close()
    assert engine.call("run", *options) == (5, b"one\ntwo\n", "")
    assert engine.call("run", *options) == (5, b"one\ntwo\n", "")
    assert engine.started("joined") == 1


def test_its_faults(engine):
    with engine.fault("unreachable"):
        calls = (("run", "x", "--", "true"), ("end", "x", "TERM"), ("alive", "x"))
        assert [engine.call(*words)[0] for words in calls] == [75, 2, 2]
    for name in ("hang", "flood"):
        with engine.fault(name):
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            with subprocess.Popen(engine.words("alive", "x"), **pipes) as client:
                with pytest.raises(subprocess.TimeoutExpired):
                    client.wait(0.2)
                client.kill()
    client = begun(engine, "deaf", "sleep", "60")
    engine.wait_for_start("deaf")
    with engine.fault("deaf"):
        assert engine.call("end", "deaf", "KILL")[0] == 0
        assert engine.call("alive", "deaf")[0] == 0
    with engine.fault("late", "0.5"):
        began = time.monotonic()
        assert engine.call("end", "deaf", "KILL")[0] == 0
        assert (client.wait(), engine.running("deaf"), engine.call("alive", "deaf")[0]) == (137, [], 0)
        wait_until(lambda: engine.call("alive", "deaf")[0] == 1, "it to be gone late")
        assert time.monotonic() - began >= 0.5
    client.communicate()


def test_what_waits_for_a_place_can_be_ended_there(engine):
    with engine.fault("pending"):
        client = begun(engine, "p", "true")
        wait_until(lambda: engine.call("alive", "p")[0] == 0, "it to be accepted")
        engine.call("end", "p", "TERM")
        assert (client.communicate()[1], client.returncode) == (b"far: cancelled before it began\n", 1)
    assert engine.started("p") == 0


def test_it_ends_all_that_it_runs(tmp_path):
    class Somewhere:
        path = str(tmp_path)

    pid = str(tmp_path / "pid")
    with configured(Somewhere) as engine:
        client = begun(engine, "t", "sh", "-c", "trap '' TERM; sleep 60 & echo $! >%s; wait" % pid)
        number = wait_until(lambda: contents(pid).strip(), "it to begin")
    client.communicate()
    wait_until(lambda: not is_there(int(number)), "its child to end")
    assert not os.path.exists(engine.folder)


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in contents("/proc/%d/stat" % pid).rpartition(")")[2][:3]


def test_a_client_that_is_asked_to_end_leaves_it_running(engine):
    client = begun(engine, "k", "sleep", "60")
    engine.wait_for_start("k")
    client.send_signal(signal.SIGTERM)
    client.communicate()
    assert engine.call("alive", "k")[0] == 0
    engine.call("end", "k", "KILL")
    engine.wait_until_free("k")
    assert engine.twice() == []
