"""The hook under real supervisors: at least once, whoever is killed; never in the way; of jobs on stdin alone."""

import contextlib
import json
import os
import random
import signal
import subprocess
import time

import pytest
from helpers import hooked
from helpers.home import contents, wait_for_log
from helpers.marks import WINDOWS, long, needs_proc
from helpers.processes import end_process, is_running
from helpers.waiting import wait_until

from queuectl_lib.store import hook_note, hooking, roster


@pytest.fixture
def home(near):
    return near


pytestmark = pytest.mark.skipif(WINDOWS, reason="hooks of /bin/sh")


def path_in(home, name):
    return os.path.join(home.path, name)


def write(home, name, text=""):
    with open(path_in(home, name), "w") as file:
        file.write(text)


def wait_for_told(home, wanted, word="dead"):
    wait_until(lambda: set(hooked.ids(home, word)) >= set(wanted), "the hook to be told of %d jobs" % len(wanted))


def supervisor(home):
    return next(one["pid"] for one in roster.members(home.queue.folder) if one["kind"] == "supervisor")


def tellers(home):
    """The processes that tell the hook of this home."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        words = contents("/proc/%s/cmdline" % entry).split("\0")
        if home.path in words and "--now" in words:
            found.append(int(entry))
    return found


# ---------------------------------------------------------------- told


def test_a_drain_tells_of_what_ended_in_it_before_it_leaves(home):
    hooked.set_hook(home, every="10s")
    old = home.add("exit 3", "--max-retries", "0")
    home.drain()
    bad = home.add("echo disk full >&2; exit 4", "--max-retries", "0", "--name", "backup")
    home.add("true")
    mine = home.add("true", "--notify", "completed")
    log = home.drain()
    assert hooked.ids(home) == [old, bad] and hooked.ids(home, "completed") == [mine]
    assert hooked.batches(home) == ["dead 1", "dead 2"]
    assert "hook: told, events: 2" in log
    dead = hooked.told(home)[1]
    assert dead["text"] == "job %s (backup) is dead: exit 4: disk full" % bad
    assert (dead["seq"], dead["state"], dead["exit_code"]) == (2, "dead", 4)
    assert home.drain().count("hook:") == 0, "nothing is told twice"


def test_a_hook_is_told_of_nothing_that_ended_before_it_was_set(home):
    home.add("exit 3", "--max-retries", "0")
    home.drain()
    hooked.set_hook(home)
    new = home.add("exit 3", "--max-retries", "0")
    home.drain()
    assert hooked.ids(home) == [new]
    home.run("config", "unset", "hook")
    home.add("exit 3", "--max-retries", "0")
    home.drain()
    assert not hook_note.is_there(home.queue.folder)
    home.run("config", "set", "hook", hooked.KEEPS)
    home.drain()
    assert hooked.ids(home) == [new]


def test_a_hook_that_an_editor_writes_into_the_settings_is_told_from_the_next_start_on(home):
    home.add("exit 3", "--max-retries", "0")
    home.drain()
    write(home, "config.json", json.dumps({"hook": hooked.KEEPS}))
    new = home.add("exit 3", "--max-retries", "0")
    home.drain()
    assert hooked.ids(home) == [new]
    write(home, "config.json", "{}")
    home.drain()
    assert hooking.how_far(home.queue.database).kept == 0


HOSTILE = "EVIL\nEVIL=1 \"'`$(touch pwned)` \x1b[31m \u202e \\"


def test_nothing_of_a_job_is_on_its_command_line_or_in_its_environment(home):
    script = "#!/bin/sh\nenv > env.out; ps -o args= -p $$ > args.out; printf '%s ' \"$@\" > words.out\n" + hooked.KEEPS
    write(home, "mail.sh", script + "\n")
    os.chmod(path_in(home, "mail.sh"), 0o700)
    hooked.set_hook(home, ["./mail.sh", "one word", "$HOME"], on="dead,completed")
    home.run("add", "--id", "EVIL", "--name", "EVIL", "--max-retries", "0", "--", "sh", "-c", "exit 5; # " + HOSTILE)
    home.run("add", "--env", "EVIL=EVIL", "--", "sh", "-c", 'echo "result EVIL" >> "$QUEUECTL_CONTROL"')
    home.drain()
    assert contents(path_in(home, "words.out")) == "one word $HOME "
    for name in ("env.out", "args.out", "words.out"):
        assert contents(path_in(home, name)) != "" and "EVIL" not in contents(path_in(home, name)), name
    assert hooked.ids(home) == ["EVIL"] and hooked.told(home)[-1]["result"] == "EVIL"
    assert contents(path_in(home, "told")).isascii()


def test_two_supervisors_tell_of_each_end_once(home):
    hooked.set_hook(home)
    for _ in range(2):
        home.start("--count", "2")
    jobs = [home.add("exit 3", "--max-retries", "0") for _ in range(10)]
    wait_for_told(home, jobs)
    assert sorted(hooked.ids(home)) == sorted(jobs)


def test_idle_is_told_once_and_again_only_after_work_has_come(home):
    hooked.set_hook(home, on="idle")
    process = home.start()
    home.add("true")
    wait_until(lambda: len(hooked.told(home)) == 1, "idle to be told")
    home.run("worker", "stop")
    process.wait()
    home.drain()
    assert hooked.batches(home) == ["idle 1"], "no work has come"
    home.add("true")
    home.drain()
    assert hooked.batches(home) == ["idle 1"] * 2
    assert hooked.told(home)[-1]["jobs"]["completed"] == 2


# ---------------------------------------------------------------- failing


def test_a_hook_that_fails_is_told_the_same_again_and_check_says_so(home):
    hooked.set_hook(home, "echo not now >&2; cat >> refused; exit 7")
    process = home.start()
    first = home.add("exit 3", "--max-retries", "0")
    wait_until(lambda: contents(path_in(home, "refused")).count("\n") >= 2, "two tries")
    wait_for_log(process, "hook: it fails, events: 1: exit code 7: not now; the same are told again")
    tries = [json.loads(line)["id"] for line in contents(path_in(home, "refused")).splitlines()]
    assert set(tries) == {first}
    assert "the hook fails since" in home.run("check", "--all", code=1).stdout
    said = home.run("hook").stdout
    assert "exit code 7: not now" in said and "tries" in said
    home.run("config", "set", "hook", hooked.KEEPS)
    wait_for_told(home, [first])
    wait_until(lambda: not home.run("hook", "--json").json["failing_since"], "all to be well")
    home.run("check", "--all")


# Its pid stands there once it has looked for `go`: it hangs then.
HANGS_FIRST = "test -e go || { echo $$ >> pids; exec sleep 60; }; echo $$ >> pids; "


def test_a_hook_that_is_killed_in_the_middle_gets_the_same_events_again(home):
    hooked.set_hook(home, HANGS_FIRST + hooked.KEEPS)
    home.start()
    jobs = [home.add("exit 3", "--max-retries", "0") for _ in range(3)]
    wait_until(lambda: contents(path_in(home, "pids")), "the hook to run")
    write(home, "go")
    os.kill(int(contents(path_in(home, "pids")).split()[0]), signal.SIGKILL)
    wait_for_told(home, jobs)
    assert sorted(hooked.ids(home)) == sorted(jobs)


@needs_proc
@pytest.mark.parametrize("whom", ["supervisor", "teller", "both"])
def test_no_event_is_lost_where_who_tells_it_is_killed_meanwhile(home, whom):
    hooked.set_hook(home, HANGS_FIRST + hooked.KEEPS, every="1s")
    process = home.start()
    job = home.add("exit 3", "--max-retries", "0")
    wait_until(lambda: contents(path_in(home, "pids")).strip(), "the hook to run")
    first = int(contents(path_in(home, "pids")).split()[0])
    victims = tellers(home) if whom != "supervisor" else []
    assert len(victims) == (whom != "supervisor")
    for pid in victims + ([process.pid] if whom != "teller" else []):
        end_process(pid)
    write(home, "go")
    if whom == "supervisor":
        assert is_running(first), "who tells it goes on by itself"
        end_process(first)
    if whom != "teller":
        process.wait()
        home.start()
    wait_for_told(home, [job])
    assert not is_running(first), "what was left of the first run is ended"
    assert hooked.ids(home) == [job]


@pytest.mark.parametrize("place, times", [("hook.ended", 2), ("hook.told", 1), ("write.before-commit", 2)])
def test_killed_about_the_end_of_the_hook_it_is_told_twice_at_the_most_and_once_at_the_least(home, place, times):
    hooked.set_hook(home)
    job = home.add("exit 3", "--max-retries", "0")
    home.run("config", "set", "hook_every", "1h")  # so that the drain's own
    home.run("config", "set", "hook", "exit 1")
    home.drain()
    home.run("config", "set", "hook", hooked.KEEPS)
    words = home.command("hook", "--now")
    killed = subprocess.run(words, env=home.environment({"QUEUECTL_FAILPOINT": "%s:%s" % (place, path_in(home, "fp"))}))
    assert killed.returncode == -9
    home.run("hook", "--now")
    assert hooked.ids(home) == [job] * times


# ---------------------------------------------------------------- never in the way


def test_a_hook_that_hangs_delays_no_job_and_no_stop(home):
    hooked.set_hook(home, "echo $$ >> pids; trap '' TERM; sleep 300 & sleep 300")
    home.run("config", "set", "grace", "1")
    process = home.start()
    home.add("exit 3", "--max-retries", "0")
    wait_until(lambda: contents(path_in(home, "pids")).strip(), "the hook to run")
    jobs = [home.add("true") for _ in range(3)]
    for job in jobs:
        home.wait_for_state(job, "completed")
    home.run("worker", "stop")
    process.wait()
    assert "hook: it is not waited for any longer" in contents(process.log)
    pids = [int(pid) for pid in contents(path_in(home, "pids")).split()]
    wait_until(lambda: not any(is_running(pid) for pid in pids), "the hook to be ended")
    assert home.run("hook", "--json").json["told"] == 0
    home.run("config", "set", "hook", hooked.KEEPS)
    home.drain()
    assert len(hooked.ids(home)) == 1


@long
def test_of_hundreds_of_dead_letters_none_is_untold_whoever_is_killed(home):
    """Supervisors, tellers and hooks killed at random."""
    dice = random.Random(17)
    hooked.set_hook(home, "echo $$ > pid; sleep 0.1; " + hooked.KEEPS)
    jobs, deadline = [], time.monotonic() + 40
    process = home.start("--count", "2")
    while time.monotonic() < deadline:
        jobs += [home.add("exit 3", "--max-retries", "0") for _ in range(4)]
        victim = dice.choice(["supervisor", "teller", "hook", "nobody"])
        if victim == "supervisor":
            process.kill()
            process.wait()
            process = home.start("--count", "2")
        for pid in tellers(home) if victim == "teller" else []:
            end_process(pid)
        if victim == "hook" and contents(path_in(home, "pid")).strip():
            end_process(int(contents(path_in(home, "pid"))))
    for job in jobs:
        home.wait_for_state(job, "dead", 60)
    home.run("worker", "stop")
    process.wait()
    wait_until(lambda: not tellers(home), "nobody to tell any more", 90)
    home.run("config", "set", "hook", hooked.KEEPS)
    wait_until(lambda: "nothing to tell" in home.run("hook", "--now").stderr, "all to be told", 60)
    assert set(jobs) <= set(whole_ids(home))


def whole_ids(home):
    """The jobs that were told of to the end of a line; a hook that was killed may have left a half before the next."""
    for half in contents(os.path.join(home.path, "told")).split('{"event": ')[1:]:
        with contextlib.suppress(ValueError):
            yield json.loads('{"event": ' + half.split("\n")[0])["id"]
