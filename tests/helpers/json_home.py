"""A home with jobs of all states, and what each command says with --json there."""

import json
import os

from helpers.home import Home
from helpers.near import Near
from helpers.waiting import wait_until
from queuectl_lib.commands import COMMANDS

SAYING = 'printf "progress 40 half\\nresult 42\\n" >> "$QUEUECTL_CONTROL"; echo out; echo err >&2; '
PATIENT = "while [ ! -e go ]; do sleep 0.05; done"


class Spoken:
    """The values that commands have printed, by their names."""

    def __init__(self, path):
        self.values = {}
        self.home = Home(path)
        self.near = Near(path)

    def run(self, *words, code=0, process=False):
        """The value that `queuectl.py WORDS --json` prints: exactly one."""
        at = words.index("--") if "--" in words else len(words)
        home = self.home if process else self.near
        done = home.run(*words[:at], "--json", *words[at:], code=code)
        value = json.loads(done.stdout)
        name = " ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else words[0]
        self.values.setdefault(name, []).append(value)
        return value

    def add(self, command, *options):
        return self.run("add", command, *options)["id"]


def speak(path):
    """Every command with --json, in a home that has been used for a while; what each has said, by its name."""
    os.mkdir(path, 0o700)
    said = Spoken(path)
    set_up(said)
    fill(said)
    work(said)
    look(said)
    change(said)
    said.home.clean_up()
    return said.values


def set_up(said):
    """Settings, queues, schedules."""
    run = said.run
    run("initdb")
    run("top")
    run("config", "set", "backoff_base", "3600")
    run("config", "set", "grace", "2")
    run("config", "unset", "grace")
    run("status")
    for words in (["timeout", "60"], ["later_codes", "75"], ["dead_codes", "9"], ["durability", "full"]):
        run("config", "set", *words)
    run("config", "get")
    run("config", "get", "grace")
    run("config", "set", "shell", "/bin/sh")
    run("config", "get")
    run("config", "unset", "shell")
    run("config", "unset", "timeout")
    run("config", "get")
    run("config", "set", "launchers", '{"mine": {"run": ["env"], "later_codes": [75]}}')
    run("config", "set", "launcher", "mine")
    run("config", "get")
    run("config", "unset", "launcher")
    run("hook")
    run("config", "set", "hook", '["sh", "-c", "echo no; exit 3"]')
    run("config", "set", "hook_on", "dead,completed")
    run("config", "set", "hook_every", "1h")
    run("config", "get")
    run("hook", "--test", code=1)
    run("config", "set", "hook", "echo no; exit 3")
    run("config", "get")
    run("hook")
    run("hook", "--now")
    run("pause")
    every = ["--limit", "2", "--rate", "60/1h", "--window", "mon-sun 00:00-24:00", "--max-load", "1000"]
    run("queue", "set", "night", *every, "--min-memory", "1M", "--min-free", "1M:/")
    run("queue", "set", "empty", "--launcher", "mine", "--launcher-args", "B=2")
    run("lock", "set", "db", "2")
    run("pause", "empty", "--for", "2h", "--note", "moved")
    run("pause")
    run("resume", "night")
    run("resume")
    run("pause", "empty", "--for", "2h", "--note", "moved")
    run("schedule", "set", "nightly", "17 3 * * *", "true", "--tag", "x")
    run("schedule", "set", "each", "every 15m", "--missed", "all:3", "--overlap", "queue", "--start", "2027-01-01",
        "--end", "2028-01-01", "--max-retries", "1", "--", "echo", "a b")  # fmt: skip
    run("schedule", "pause", "nightly")


def fill(said):
    """Jobs of every kind."""
    add = said.add
    add("true", "--id", "plain", "--name", "kind", "--tag", "x", "--tag", "y")
    add("true", "--id", "key", "--unique", "k", "--hold", "--env", "A=1", "--queue", "night")
    said.run("add", "true", "--unique", "k")
    said.run("add", "--id", "words", "--timeout", "60", "--run-at", "2027-01-01", "--", "echo", "a b")
    add(SAYING + "exit 0", "--id", "good", "--tag", "x", "--lock", "db", "--timeout", "300")
    add(SAYING + "echo ignored >> $QUEUECTL_CONTROL; exit 3", "--id", "bad", "--max-retries", "0", "--tag", "x")
    add("kill -9 $$", "--id", "killed", "--max-retries", "0")
    add("true", "--id", "nowhere", "--cwd", os.path.join(said.home.path, "none"), "--max-retries", "0")
    codes = ["--later-codes", "75", "--ok-codes", "0", "--dead-codes", "9", "--backoff", "fixed:1h"]
    add("exit 4", "--id", "tried", *codes)
    add(SAYING + PATIENT, "--id", "running", "--lock", "other", "--cwd", said.home.path)
    add("true", "--id", "parked", "--lock", "other")
    add("true", "--id", "after", "--after", "running", "--after-any", "good", "--after-fail", "bad")
    add("true", "--id", "never", "--after", "bad")
    add("true", "--id", "gone", "--queue", "empty")
    add("i=0; while [ $i -lt 18000 ]; do echo %s; echo %s >&2; i=$((i+1)); done" % (60 * "x", 60 * "y"), "--id", "long")
    add("true", "--id", "any", "--after-any", "running", "--tag", "y")
    add("true", "--id", "fail", "--after-fail", "running")
    rules = ["--nice", "1", "--limit", "nofile=64", "--max-snoozes", "3", "--backoff-cap", "1m", "--jitter", "20%"]
    add("true", "--id", "rules", *rules, "--pipe-output", "--delay", "1h")
    add("true", "--id", "merged", "--merge", "--notify", "completed", "--shell", "/bin/sh", "--delay", "1h")
    add("true", "--id", "far", "--launcher", "mine", "--launcher-args", "A=1", "--delay", "1h")
    said.run("enqueue", '[{"command": "true", "unique": "k"}, {"command": "true", "id": "more", "delay": "2h"}]')
    said.run("enqueue", '[{"command": "true", "id": "more"}]', "--skip-existing")
    said.run("cancel", "gone")
    said.run("schedule", "run", "each")


def work(said):
    """Until some have completed, died, failed, and one runs."""
    said.run("why")
    said.run("top")
    said.run("check", "--waiting", "0", code=1)
    served = ["--background", "--not-queue", "empty"]
    said.run("worker", "start", "-n", "2", *served)
    said.run("worker", "start", "--ensure", *served)
    near = said.near
    ends = {"good": "completed", "long": "completed", "tried": "failed"}
    ends.update(dict.fromkeys(("bad", "killed", "nowhere"), "dead"))
    for name, state in ends.items():
        wait_until(lambda: near.state(name) == state, "job %s to be %s" % (name, state))  # noqa: B023 - at once
    wait_until(lambda: near.state("running") == "processing", "a job to run")
    wait_until(lambda: near.run("list", "--state", "processing", "--json").json[0]["progress"], "it to tell so")
    wait_until(lambda: near.state("plain") == "completed", "job plain to be completed")


def look(said):
    """All that only shows."""
    run = said.run
    said.add("true", "--id", "late", "--after", "good", "--queue", "empty")
    run("status")
    run("status", "--tag", "x")
    run("top")
    run("top", "--state", "completed")
    run("list")
    run("list", "--slow")
    run("dlq", "list")
    run("dlq", "groups")
    for name in ("long", "good", "bad", "killed", "tried", "running", "after", "words", "key", "never", "plain"):
        run("show", name)
        run("logs", name)
        run("why", name)
    run("why")
    run("why", "good", "bad")
    run("logs", "--tag", "x")
    run("results")
    run("results", "-o", os.path.join(said.home.path, "out"))
    run("stats")
    run("events")
    run("joblog")
    run("metrics", "--kinds", "3")
    run("report", "-o", os.path.join(said.home.path, "report.html"))
    run("wait", "good", "bad", code=1)
    run("wait", "running", "--timeout", "0", code=124)
    run("wait", "good", "running", "--any")
    run("run", "exit 0", "--id", "ran", "--priority", "9")
    run("worker", "list")
    run("queue", "list")
    run("queue", "show", "night")
    run("lock", "list")
    run("schedule", "list")
    run("schedule", "show", "each")
    run("schedule", "next")
    run("schedule", "next", "each", "-n", "1")
    run("hook", "--now", code=1)
    run("check", "--min-free", "999999T", "--expect", "k", "--every", "1h", "--waiting", "0", code=1)
    run("hook")
    run("config", "set", "hook", '["no-such-program"]')
    run("hook")
    run("hook", "--test", code=1)
    run("config", "unset", "hook")
    run("check", "--waiting", "3h")
    run("cron")
    run("completion", "bash")
    run("manual")
    run("doctor", process=True)


def change(said):
    """All that changes jobs, and the end of the worker."""
    run, path = said.run, said.home.path
    run("hold", "words")
    run("release", "words")
    run("hold", "--match", "a b")
    run("release", "--state", "pending")
    run("edit", "words", "--priority", "3")
    run("edit", "--state", "pending", "--priority", "4")
    run("dlq", "retry", "--group", said.near.job("bad")["signature"], "--canary")
    run("dlq", "retry", "--state", "dead")
    run("requeue", "--state", "cancelled", "--tag", "none", "--quiet")
    run("requeue", "gone")
    run("cancel", "gone")
    run("cancel", "--state", "pending", "--dry-run")
    run("cancel", "--state", "pending", "--match", "a b")
    run("requeue", "--state", "cancelled", "--match", "a b")
    said.add("sleep 300", "--id", "silent", "--priority", "9", "--name", "quiet")
    wait_until(lambda: said.near.state("silent") == "processing", "a job to run that says nothing")
    run("top")
    run("status")
    run("worker", "stop", "--now")
    run("cancel", "silent")  # which a drain would wait for
    run("worker", "stop", "--stay")
    run("status")
    run("worker", "start", "--ensure", "--background")
    run("worker", "--drain", "--max-time", "0.001")  # and so takes nothing that runs for long
    said.add("true", "--id", "again", "--unique", "r", "--hold")
    run("cancel", "again")
    run("export", "--to", "sh", os.path.join(path, "sh"), "--all")
    run("add", "true", "--id", "away", "--hold")
    run("export", "--to", "slurm", os.path.join(path, "slurm"), "away", "--take")
    run("export", "--to", "parallel", os.path.join(path, "parallel"), "--all", "--dry-run")
    run("rerun", "again", "--dry-run")
    run("rerun", "again")
    run("rerun", "again")
    run("prune", "gone")
    run("prune")
    run("dlq", "purge")
    run("rerun", "--state", "dead", "--quiet")
    with open(os.path.join(path, "tab"), "w") as file:
        file.write("5 4 * * * true\n")
    run("schedule", "import", os.path.join(path, "tab"))
    with open(os.path.join(path, "schedules"), "w") as file:
        json.dump(said.values["schedule list"][0], file)
    run("schedule", "load", os.path.join(path, "schedules"))
    run("schedule", "resume", "nightly")
    run("schedule", "remove", "each", "--cancel")
    run("lock", "unset", "db")
    run("queue", "set", "none")
    run("queue", "remove", "none")
    os.environ["QUEUECTL_CONTROL"] = os.path.join(path, "control")
    try:
        run("say", "progress", "40")
    finally:
        del os.environ["QUEUECTL_CONTROL"]
