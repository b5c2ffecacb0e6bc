"""What users of other job queues type: it works, or is refused with the line to type. A row for each form."""

import os
import re
import shlex
import subprocess
import time

import pytest
from helpers.bundle import ROOT
from helpers.near import Near
from helpers.queue import claim, settle

from queuectl_lib.commands import ALIASES, COMMANDS, examples, frame, hints, option_words, words
from queuectl_lib.errors import BadInput

# What was typed, its exit code, and what must stand in the answer.
ENQUEUE = [
    ("enqueue 'echo hi'", 2, "`add 'echo hi'`", "`enqueue --command 'echo hi'`"),
    ("enqueue echo hi", 2, "`add 'echo hi'`"),
    ("enqueue --priority 5 'echo hi'", 2, "`add 'echo hi'`"),
    ("enqueue 'a b' --priority 5 extra", 2, '`add "COMMAND"`'),
    ("enqueue true", 2, "`add true`"),
    ("enqueue 5", 2, "`add 5`"),
    ("enqueue --cmd 'echo hi'", 2, '`add "COMMAND"`'),
    ("enqueue '{\"command\": \"true\"}' --priority 5", 2, '--priority is a key of the JSON: {"command": "true", "pri'),
    ("enqueue - --id x", 2, "--id is a key of the JSON"),
    ("enqueue '{id:job1,command:true}'", 2, "the shell took the quotes", "`enqueue --file FILE`", "`enqueue -`"),
    ("enqueue '{id:job1,command:echo' 'hi}'", 2, "the shell took the quotes"),
    ("enqueue \"'{command:true}'\"", 2, "the shell took the quotes"),
    ("enqueue -f jobs.json", 2, "`enqueue --file jobs.json`"),
    ("enqueue README.md", 2, "`enqueue --lines README.md`"),
    ("enqueue @README.md", 2, "`enqueue --lines README.md`"),
    ("enqueue --command true --file x", 2, "give one source"),
    ("enqueue --command true --any-state", 2, "--any-state is for JSON"),
    ("enqueue -- echo hi", 2, "`add -- PROGRAM"),
    ("enqueue '{\"id\": 1, \"command\": \"true\"}'", 2, 'an id is text: write "1"'),
    ("enqueue '{\"command\": \"true\", \"maxRetries\": 2}'", 2, "did you mean max_retries?"),
    ("enqueue '{\"command\": \"true\", \"timeout_seconds\": 2}'", 2, "did you mean timeout, in seconds"),
    ("enqueue '{\"cmd\": \"true\"}'", 2, "did you mean command?"),
    ("enqueue '{\"command\": \"true\", \"run_at\": 3600}'", 2, "a length of time from now is `delay`"),
]
ADD = [
    ("add ls -la", 2, "unrecognized arguments: -la", "in quotes", "`add -- ls -la ...`"),
    ("add ls --all", 2, "`add -- ls --all ...`"),
    ("add --id x ls -la", 2, "`add -- ls -la ...`"),
    ("add python train.py --lr 0.1", 2, "`add -- python ...`"),
    ("add echo hi", 2, "more than one word", "`add -- echo ...`"),
    ("add 'echo hi' --retries 3", 2, "`add 'echo hi' --max-retries 3`"),
    ("add 'echo hi' --max_retries 3", 2, "did you mean --max-retries?"),
    ("add 'echo hi' -p 5", 2, "`add 'echo hi' --priority 5`"),
    ("add 'echo hi' --at 2pm", 2, "`add 'echo hi' --run-at 2pm`"),
    ("add 'echo hi' --depends-on x", 2, "`add 'echo hi' --after x`"),
    ("add 'echo hi' --follow", 2, "`logs -f ID`"),
    ("add 'echo hi' --force", 2, "left out"),
    ("add --command 'echo hi'", 2, "`add 'echo hi'`"),
    ("add -c 'echo hi'", 2, "`add 'echo hi'`"),
    ("add", 2, '`add "echo hello"`'),
    ("add true --priority high", 2, "is not a whole number", "`--priority 10`"),
    ("add true --run-at 3600", 2, "a length of time from now is `delay`"),
]
FIRST = [
    ("delete X", 2, "`cancel X`", "`prune X`", "`dlq purge X`"),
    ("remove X", 2, "`cancel X`"),
    ("rm", 2, "`cancel ID`"),
    ("run", 2, "`worker start`"),
    ("exec 'echo hi'", 2, "`run 'echo hi'`", "`add 'echo hi'`"),
    ("run --workers 3", 2, "`worker start --count 3`"),
    ("run ls -la", 2, "`run -- ls -la ...`"),
    ("run true --detach", 2, '`add "COMMAND"`'),
    ("start", 2, "`worker start`"),
    ("stop", 2, "`worker stop`"),
    ("kill X", 2, "`cancel X`", "`worker stop`"),
    ("retry X", 2, "`requeue X`"),
    ("ls", 2, "`list`"),
    ("ps", 2, "`status`"),
    ("htop", 2, "`top`"),
    ("top -b", 2, "`top --once`"),
    ("top -d 5", 2, "`top --interval 5`"),
    ("reset", 2, "`worker stop`", "`cancel --all`", "`prune --state completed,cancelled,dead`"),
    ("purge", 2, "`prune`", "`dlq purge`"),
    ("version x", 2, "`--version`"),
    ("man", 2, "`manual | man -l -`"),
    ("-v", 2, "`--version`"),
    ("workers", 2, "`worker list`"),
    ("cancel", 2, "name jobs", "`list`"),
    ("output X", 2, "`logs X`"),
    ("tail X", 2, "`logs -f X`"),
    ("dashboard", 2, "no port", "`top`"),
    ("monitor", 2, "no port", "`top`"),
    ("prometheus", 2, "`metrics`", "`stats`"),
    ("health", 2, "`check`", "`doctor`"),
    ("submit 'echo hi'", 2, "`add 'echo hi'`"),
    ("'echo hi'", 2, "`add 'echo hi'`"),
    ("job show X", 2, "`show X`"),
    ("job list", 2, "`list`"),
    ("job status X", 2, "`show X`"),
    ("job add 'echo hi'", 2, "`add 'echo hi'`"),
    ("status X", 2, "`show X`"),
    ("failed", 2, "`list --state failed`"),
    ("running", 2, "`list --state processing`"),
    ("settings", 2, "`config get`"),
    ("set max_retries 3", 2, "`config set max_retries 3`"),
    ("every 5m 'echo hi'", 2, "`schedule set NAME"),
    ("schedule '0 3 * * *' 'echo hi'", 2, "`schedule set NAME '0 3 * * *'"),
    ("init", 2, "`initdb`"),
    ("init-db", 2, "did you mean initdb?"),
    ("worker-start", 2, "did you mean worker start?"),
    ("worker-stop", 2, "did you mean worker stop?"),
    ("dlq:list", 2, "did you mean dlq list?"),
    ("config-set", 2, "did you mean config set?"),
    ("List", 2, "did you mean list?"),
    ("lst", 2, "did you mean list?"),
    ("sta", 2, "did you mean status or stats?"),
    ("wroker start", 2, "did you mean worker start?"),
    ("quite-unlike-any", 2, "known: add", "`queuectl.py --help`"),
    ("--db x.db list", 2, "unrecognized arguments: --db", "`--home DIR`", "`config set db_path FILE`"),
    ("--db=x.db list", 2, "unrecognized arguments: --db", "`--home DIR`"),
    ("--limit 20 list", 2, "unrecognized arguments: --limit", "the command comes first"),
    ("help nope", 2, 'unknown command "nope"'),
]
WORKER = [
    ("worker status", 2, "`worker list`"),
    ("worker 3", 2, "`worker start --count 3`"),
    ("worker start 4", 2, "`worker start --count 4`"),
    ("worker start -c 3", 2, "`worker start --count 3`"),
    ("worker start --concurrency 3", 2, "`worker start --count 3`"),
    ("worker start --workers 3", 2, "`worker start --count 3`"),
    ("worker start --max-retries 3", 2, "`config set max_retries 3`"),
    ("worker start --foreground", 2, "that is how it runs: `worker start`"),
    ("worker start --daemonize", 2, "`worker start --background`"),
    ("worker start --once", 2, "`worker start --drain`"),
    ("worker start --pid-file x", 2, "`worker list`"),
    ("worker --stop", 2, "`worker stop`"),
    ("worker stop NAME", 2, "every supervisor", "`worker stop`"),
    ("worker stop --force", 2, "`worker stop --now`"),
    ("worker stop --pid-file x", 2, "`worker stop`"),
    ("worker restart", 2, "`worker stop`", "`worker start`"),
    ("worker strat", 2, "did you mean worker start?"),
    ("cron --workers 2", 2, "`cron --count 2`"),
]
DEAD = [
    ("dlq", 2, "`dlq list`"),
    ("dlq lst", 2, "did you mean dlq list?"),
    ("dlq delete X", 2, "`dlq purge X`"),
    ("dlq remove X", 2, "`dlq purge X`"),
    ("dlq clear", 2, "`dlq purge`", "--dry-run"),
    ("dlq count", 2, "`status`"),
    ("dlq stats", 2, "`dlq groups`"),
    ("dlq show X", 2, "`show X`"),
    ("dlq requeue X", 2, "`dlq retry X`"),
    ("dlq purge --yes", 2, "left out"),
    ("dlq purge --id X", 2, "`dlq purge X`"),
    ("dlq purge --older-than 7d", 2, "`prune --state dead --older-than 7d`"),
    ("dlq retry --id X", 2, "`dlq retry X`"),
]
LOOKING = [
    ("list --state PENDING", 0, "waiting"),
    ("list --state Pending,FAILED", 0, "waiting"),
    ("list --state running", 2, "did you mean processing?"),
    ("list --status failed", 2, "`list --state failed`"),
    ("list -s pending", 2, "`list --state pending`"),
    ("list pending", 1, "`list --state pending`"),
    ("list running", 1, "`list --state processing`"),
    ("list -n 5", 2, "`list --limit 5`"),
    ("list --failed", 2, "`list --state failed`"),
    ("status --reason", 2, "left out"),
    ("schedule list now", 2, "`schedule list [OPTION ...]`"),
]
CONFIG = [
    ("config list", 0, "max_retries "),
    ("config show", 0, "max_retries "),
    ("config list timeout", 0, "none"),
    ("config show --json", 0, '"max_retries": 3'),
    ("config", 0, "max_retries "),
    ("config reset max_retries", 2, "`config unset max_retries`"),
    ("config delete", 2, "`config unset KEY`"),
    ("config max_retries 5", 2, "`config set max_retries 5`"),
    ("config max_retries", 2, "`config get max_retries`"),
    ("config set --max-retries 3", 2, "`config set max_retries 3`"),
    ("config set max_retries=3", 2, "`config set max_retries 3`"),
    ("config set poll-interval-ms 200", 2, "did you mean poll_interval, in seconds: 0.2 for 200 ms?"),
    ("config set timeout-seconds 30", 2, "did you mean timeout, in seconds"),
    ("config set default-timeout 30", 2, "did you mean timeout?"),
    ("config set workers 3", 2, "`worker start --count N`"),
    ("config get --all", 2, "`config get`"),
]
HELP = [
    ("help", 0, "usage: queuectl.py"),
    ("help add", 0, "usage: queuectl.py add"),
    ("help worker stop", 0, "usage: queuectl.py worker stop"),
    ("help config list", 0, "usage: queuectl.py config get"),
    ("help dlq", 0, "dlq purge"),
]
OTHERS = [  # words of other schedulers and queues
    ("sbatch --mem 4G x.sh", 2, '`add "sh x.sh"`'),
    ("srun hostname", 2, "`add --wait hostname`"),
    ("scancel 12", 2, "`cancel 12`"),
    ("squeue -u me", 2, '"squeue": `list`'),
    ("sacct", 2, "`list --last 20`"),
    ("sinfo", 2, "`worker list`"),
    ("scontrol show job 12", 2, "`show ID`"),
    ("scontrol hold 12", 2, "`hold 12`"),
    ("tsp sleep 5", 2, "`add 'sleep 5'`"),
    ("nq make all", 2, "`add 'make all'`"),
    ("atq", 2, '"atq": `list`'),
    ("atrm 4", 2, "`cancel 4`"),
    ("parallel -j 4 echo", 2, "`enqueue --lines FILE`"),
    ("scale 4", 2, "`worker stop`, then `worker start --count 4`"),
    ("worker scale 4", 2, "`worker stop`, then `worker start --count 4`"),
    ("move x fast", 2, "`edit x --queue fast`"),
    ("prio x 5", 2, "`edit x --priority 5`"),
    ("priority x 5", 2, "`edit x --priority 5`"),
    ("clone x", 2, "`rerun x`"),
    ("snooze x", 2, "`edit x --delay 10m`"),
    ("enable", 2, "`resume QUEUE`", "`cron`"),
    ("is-active", 2, "`worker list`", "`check`"),
    ("reload", 2, "`worker stop`, then `worker start`"),
    ("journal x", 2, "`logs x`"),
    ("call foo", 2, "`add foo`"),
    ("send foo", 2, "`add foo`"),
    ("apply_async foo", 2, "`add foo`"),
    ("add 'echo hi' --begin now+2hours", 2, "`add 'echo hi' --delay 2h`"),
    ("add 'echo hi' --at 14:00", 2, "`add 'echo hi' --run-at 14:00`"),
    ("add 'echo hi' --mem 4G", 2, "`add 'echo hi' --limit as=4G`"),
    ("add 'echo hi' --array 1-10", 2, "`enqueue --lines FILE`"),
]
KEPT = [  # the user's own words and options stand in the line
    ("start --count 2", 2, "`worker start --count 2`"),
    ("start -c 2 -d", 2, "`worker start --count 2 --background`"),
    ("worker start -c 4 -d", 2, "`worker start --count 4 --background`"),
    ("worker start -j8 --once", 2, "`worker start --count 8 --drain`"),
    ("worker 4 --background", 2, "`worker start --count 4 --background`"),
    ("worker start --workers four", 2, "`worker start --count N`"),
    ("wroker start --count 2", 2, "did you mean worker start --count 2?"),
    ("submit 'echo hi' --retries 2", 2, "`add 'echo hi' --max-retries 2`"),
    ("retry --failed", 2, "`requeue --state failed`"),
    ("requeue --failed", 2, "`requeue --state failed`"),
    ("rerun --dead --dry-run", 2, "`rerun --state dead --dry-run`"),
    ("ls --state dead --limit 3", 2, "`list --state dead --limit 3`"),
    ("ps --tag t", 2, "`status --tag t`"),
    ("list -s running --last 3", 2, "`list --state processing --last 3`"),
    ("list --limt 5", 2, "did you mean --limit", "`list --limit 5`"),
    ("list --state dead --ids", 2, "`list --state dead | tail -n +2 | cut -d ' ' -f 1`"),
    ("list -q", 2, "`list | tail -n +2 | cut -d ' ' -f 1`"),
    ("show --ids x", 2, "`show x`"),
    ("--limit 20 --state dead list", 2, "`list --limit 20 --state dead`"),
    ("-n 4 'echo hi'", 2, "`add 'echo hi'`"),
    ("--verson", 2, "did you mean `--version`?"),
    ("wait -t 10 x", 2, "`wait --timeout 10 x`"),
    ("logs -t x", 2, "left out: `logs x`"),
    ("logs --tail 10 x", 2, "`logs -n 10 x`"),
    ("rerun x --id y", 2, "left out: `rerun x`"),
    ("rerun --id x", 2, "`rerun x`"),
    ("results --format csv --tag t", 2, "`results --tsv --tag t`"),
    ("results --csv", 2, "`results --tsv ID`"),
    ("list --output json", 2, "`list --json`"),
    ("prune --days 7 --tag t", 2, "`prune --older-than 7d --tag t`"),
    ("prune --failed", 2, "`prune --state dead`"),
    ("edit x --at 18:00", 2, "`edit x --run-at 18:00`"),
    ("edit x priority=5", 2, "`edit x --priority 5`"),
    ("edit --tag t --priority 5", 2, "`edit --tagged t --priority 5`"),
    ("edit --queue fast --priority 5", 2, "`edit --in-queue fast --priority 5`"),
    ("edit --tag t", 2, "`edit --tag t ID`"),
    ("edit --priority 5", 2, "--tagged TAG", "`list`"),
    ("stats --tag t", 2, "`status --tag t`"),
    ("why --tag t", 2, "`list --tag t`"),
    ("dlq groups --tag t", 2, "`dlq list --tag t`"),
    ("status --state dead", 2, "`list --state dead`"),
    ("show --priority 5", 2, "`add --priority N COMMAND`"),
    ("get jobs", 2, "`list`"),
    ("get job x", 2, "`show x`"),
    ("delete job x", 2, "`cancel x`", "`prune x`"),
    ("failed list", 2, "`list --state failed`"),
    ("failed --limit 3", 2, "`list --state failed --limit 3`"),
    ("stash x", 2, "`hold x`"),
    ("cancel-all", 2, "`cancel --all`", "--dry-run"),
    ("python3 train.py", 2, "`add 'python3 train.py'`"),
    ("python3 train.py --lr 1", 2, "`add -- python3 train.py --lr 1`"),
    ("list -10", 2, "`list --last 10`"),
    ("list --columns id", 2, "`list --json`"),
    ("results --table --tag t", 2, "`results --tag t`"),
    ("show x --logs", 2, "`logs ID`"),
    ("why --all", 2, "`list --all`"),
    ("status -v --tag t", 2, "`status --tag t`"),
    ("schedule nightly", 2, "`schedule show nightly`"),
    ("dlq purge --older-than 30d", 2, "`prune --state dead --older-than 30d`"),
    ("queue", 2, "`queue list` to begin with"),
    ("schedule", 2, "`schedule list` to begin with"),
    ("config --json", 0, '"max_retries": 3'),
    ("dlq list --state pending", 2, "`list --state pending`"),
    ("dlq retry --state completed,dead", 2, "`list --state completed`"),
    ("dlq purge --state pending", 2, "`list --state pending`"),
    ("dlq list --state dead", 0, "died"),
]
MISPLACED = [  # a known name in the place of another
    ("wait sweep2", 1, "it is a tag: `wait --tag sweep2`"),
    ("results sweep2", 1, "`results --tag sweep2`"),
    ("logs sweep2 -n 3", 1, "`logs --tag sweep2 -n 3`"),
    ("hold sweep2", 1, "nothing was held", "`hold --tag sweep2`"),
    ("cancel sweep2 --dry-run", 1, "nothing was cancelled", "`cancel --tag sweep2 --dry-run`"),
    ("edit sweep2 --priority 3", 1, "`edit --tagged sweep2 --priority 3`"),
    ("why sweep2", 1, "`list --tag sweep2`"),
    ("list sweep2 --state dead", 1, "`list --tag sweep2 --state dead`"),
    ("status sweep2", 2, "`status --tag sweep2`"),
    ("status waiting", 2, "`show waiting`"),
    ("status neither", 2, "`show neither`", "`status --tag neither`"),
    ("cancel fast", 1, "it is a queue: `cancel --queue fast`"),
    ("list nightly", 1, "it is a schedule: `list --schedule nightly`"),
    ("show last", 1, "`show --last 1`"),
    ("pause waiting", 2, "it is a job: `hold waiting`"),
    ("resume waiting", 2, "it is a job: `release waiting`"),
    ("pause sweep2", 2, "`hold --tag sweep2`"),
    ("pause nightly", 2, "`schedule pause nightly`"),
    ("pause wating", 2, "unknown queue"),
]
TABLE = ENQUEUE + ADD + FIRST + WORKER + DEAD + LOOKING + CONFIG + HELP + OTHERS + KEPT + MISPLACED


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    home = Near(tmp_path_factory.mktemp("hints") / "home")
    os.mkdir(home.path, 0o700)
    home.add("exit 3", "--id", "died", "--max-retries", "0")
    [held] = claim(home.queue, time.time())
    settle(home.queue, held, "failed", time.time(), exit_code=3)
    home.add("exit 0", "--id", "waiting", "--delay", "300d")
    home.add("exit 0", "--id", "tagged", "--tag", "sweep2", "--delay", "300d")
    home.run("queue", "set", "fast")
    home.run("schedule", "set", "nightly", "@daily", "true")
    return home


HELPFUL = "`|did you mean|known: |in its place|left out|is a key|write|one source|is for JSON|: needs"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
def test_what_others_type_works_or_is_refused_with_the_line_to_type(shared, monkeypatch, row):
    monkeypatch.chdir(ROOT)
    text, code, *fragments = row
    done = shared.run(*shlex.split(text), code=code)
    said = done.stdout + done.stderr
    for fragment in fragments:
        assert fragment in said
    assert not code or re.search(HELPFUL, said), said


GROUPED = {"dlq retry": "requeued", "dlq purge": "deleted", "list": ""}


@pytest.mark.parametrize("name", sorted(GROUPED))
def test_a_group_in_the_place_of_an_id_is_told_as_one(shared, name):
    [group] = shared.run("dlq", "groups", "--json").json
    word = group["group"][:6]
    said = shared.run(*name.split(), word, code=1).stderr
    assert said.endswith("it is a group of `dlq groups`: `%s --group %s`\n" % (name, word)), said
    assert ("nothing was %s" % GROUPED[name] in said) == bool(GROUPED[name])
    assert shared.job("died")["state"] == "dead"


@pytest.mark.parametrize("row", OTHERS + KEPT + MISPLACED, ids=lambda row: row[0])
def test_the_first_line_of_a_refusal_can_be_typed(shared, monkeypatch, row):
    monkeypatch.chdir(ROOT)
    text, code, *_ = row
    for line in re.findall("`([^`]*)`", shared.run(*shlex.split(text), code=code).stderr)[:1]:
        if line not in ("--version", "dlq groups"):
            parsed(line)


FILES = [
    ("runs.txt", "echo a\necho b\n", "`enqueue --lines runs.txt`"),
    ("runs.txt", "\ufeffecho a\n", "`enqueue --lines runs.txt`"),
    ("jobs.json", ' [{"command": "true"}]', "`enqueue --file jobs.json`"),
    ("jobs.jsonl", '{"command": "true"}\n', "`enqueue --file jobs.jsonl`"),
    ("run.sh", "#!/bin/sh\ntrue\n", "`add 'sh run.sh'`"),
    ("p.csv", "lr,batch\n0.1,4\n", "awk -F ',' 'NR > 1 {print \"PROGRAM\", $1, $2}' p.csv | "),
    ("p.csv", "lr;batch\n0,1;4\n", "awk -F ';' 'NR > 1 {print \"PROGRAM\", $1, $2}' p.csv | "),
    ("p.tsv", "lr\tbatch\n0.1\t4\n", "awk -F '\\t' 'NR > 1 {print \"PROGRAM\", $1, $2}' p.tsv | "),
]


@pytest.mark.parametrize("name, data, line", FILES)
@pytest.mark.parametrize("call", ["enqueue", "load", "enqueue -f"])
def test_a_file_is_added_as_what_it_holds(near, tmp_path, monkeypatch, call, name, data, line):
    (tmp_path / name).write_text(data, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert line in near.run(*call.split(), name, code=2).stderr
    assert not os.path.exists(os.path.join(near.path, "queuectl.db"))


def test_the_options_beside_the_name_of_a_file_are_kept(near, tmp_path, monkeypatch):
    (tmp_path / "runs.txt").write_text("echo a\n")
    monkeypatch.chdir(tmp_path)
    said = near.run("enqueue", "runs.txt", "--tag", "x", code=2).stderr
    assert "`enqueue --lines runs.txt --tag x`" in said
    near.run("enqueue", "--lines", "runs.txt", "--tag", "x")


def test_what_is_no_id_on_standard_input_is_told_with_the_line_that_prints_ids(home_of_ids):
    table = home_of_ids.run("list").stdout
    said = home_of_ids.run("wait", "-", code=2, input=table).stderr
    assert "`list --state S | tail -n +2 | cut -d ' ' -f 1 | python3 queuectl.py wait -`" in said
    ids = [line.split(" ")[0] for line in table.splitlines()[1:]]  # what that pipe makes of it
    assert home_of_ids.run("wait", "-", "--timeout", "0", code=124, input="\n".join(ids)).code == 124


@pytest.fixture
def home_of_ids(near):
    near.add("exit 0", "--id", "one", "--delay", "300d")
    return near


def test_a_full_disk_behind_standard_output_is_named(near):
    if not os.path.exists("/dev/full"):
        pytest.skip("no such device here")
    near.add("exit 0", "--delay", "300d")
    with open("/dev/full", "w") as full:
        done = subprocess.run(near.command("list"), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr[-len(" (standard output)\n") :]) == (3, " (standard output)\n")


def test_a_prune_says_how_long_ago_a_number_is(near):
    near.add("exit 0", "--id", "x")
    near.run("cancel", "x")
    assert near.run("prune", "--older-than", "7").stderr == "deleted 0 jobs that ended more than 7s ago\n"
    assert near.run("prune", "--older-than", "0").stderr == "deleted 1 job\n"
    said = near.run("prune", "--older-than", "7d", "--dry-run", code=1).stderr
    assert said.endswith("nothing was deleted, of those that ended more than 7d ago\n")


def test_a_queue_that_is_paused_for_two_days_says_two_days(near):
    near.run("queue", "set", "fast")
    near.run("pause", "fast", "--for", "2d")
    assert "paused for 2d" in near.run("queue", "list").stdout


# ---------------------------------------------------------------- the lines to type

PLACES = {"id": "x", "n": "3", "key": "timeout", "value": "5", "text": "'echo hi'", "word": "failed", "option": "dead"}
PLACES.update(command="show", name="fast", script="x.sh", age="7d")


def lines_in(answer):
    """The lines to type in an answer of the tables, with words of a user in their places."""
    for name, value in PLACES.items():
        answer = answer.replace("{%s}" % name, value)
    assert "{" not in answer.replace('{"', ""), answer
    return re.findall("`([^`]*)`", answer)


def parsed(line):
    """Parse a line as it would be typed; what is for another program is left out."""
    said = shlex.split(re.split(r" (?:\| |2> |> ~)", line)[0])
    name = " ".join(said[:2]) if " ".join(said[:2]) in COMMANDS else said[0]
    behind = said.index("--") if "--" in said else len(said)
    return frame.load(name).parse(said[len(name.split()) : behind])


TABLES = [words.COMMANDS, words.SURPLUS, option_words.OPTIONS, option_words.FORMATS, *option_words.OPTION_OF.values()]


@pytest.mark.parametrize("answer", sorted({answer for table in TABLES for answer in table.values()}))
def test_each_line_to_type_can_be_typed(answer):
    for line in lines_in(answer):
        if line.split()[0] not in ("--home", "--version", "--help", "enqueue -"):
            parsed(line)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_has_an_example_that_can_be_typed(name):
    assert examples.EXAMPLES[name], "an example belongs into commands/examples"
    for line, _ in examples.EXAMPLES[name]:
        assert line.startswith(name)
        parsed(line)


def test_the_tables_name_commands_that_there_are():
    assert set(words.SHUNNED) <= set(COMMANDS)
    assert set(words.SURPLUS) <= set(COMMANDS)
    assert set(ALIASES.values()) <= set(COMMANDS) and not set(ALIASES) & set(COMMANDS)


# ---------------------------------------------------------------- what is never suggested

DANGEROUS = ("cancel", "requeue", "prune", "dlq retry", "dlq purge", "worker stop", "schedule remove", "queue remove")


def slips(word):
    """*word* as it comes out of a hasty hand, and its beginnings."""
    for place in range(len(word)):
        yield word[:place] + word[place + 1 :]
        yield word[:place] + word[place] + word[place:]
        yield word[:place] + "e" + word[place + 1 :]
        yield word[:place] + word[place : place + 2][::-1] + word[place + 2 :]
    yield from (word[:length] for length in range(2, len(word)))


@pytest.mark.parametrize("name", DANGEROUS)
def test_what_deletes_ends_or_puts_back_is_never_named_for_being_alike(name):
    assert name in words.SHUNNED
    *family, last = name.split()
    for slip in {*slips(last)} - {last}:
        rest = [*family, slip]
        if " ".join(rest) not in COMMANDS and hints.meant.plain(" ".join(rest)) != hints.meant.plain(name):
            said = str(hints.unknown_command(rest, []))
            assert "did you mean %s" % name not in said and "or %s" % name not in said, (rest, said)


@pytest.mark.parametrize("line", ["cancel --al x", "worker stop --nwo", "schedule remove --cancle x", "cancel --aall"])
def test_nor_is_an_option_of_that_kind(shared, line):
    said = shared.run(*line.split(), code=2).stderr
    assert "did you mean" not in said


WRONG_BEFORE = [
    ("run", "prune"),
    ("worker 3", "worker stop"),
    ("reset", "did you mean"),
    ("delete X", "dlq retry"),
    ("version x", "cron"),
    ("stats x y", "status"),
    ("add ls -la", "--delay"),
    ("worker start --foreground", "--background"),
    ("worker stop --force", "--home"),
    ("worker start --pid-file x", "did you mean"),
    ("config list x", "config set"),
]


@pytest.mark.parametrize("line, wrong", WRONG_BEFORE)
def test_what_was_suggested_and_was_wrong_is_not_any_more(shared, line, wrong):
    assert "did you mean %s" % wrong not in shared.run(*line.split(), code=2).stderr


# ---------------------------------------------------------------- the user's own words


SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "said",
    [
        ["add", "x", "--env", "A=b", "--evn", "TOKEN=" + SECRET],
        ["add", "x", "--env", "TOKEN", SECRET],
        ["add", "x", "--nothing", SECRET],
        ["add", "x", "--password", SECRET, "-p", "5"],
        ["enqueue", "x", "--env", "TOKEN", SECRET],
        ["config", "set", "timeout", "5", "--token=" + SECRET],
        ["--token=" + SECRET, "list"],
        ["--token=" + SECRET, "nosuch"],
        ["add", "x", "--env", "TOKEN=" + SECRET, "--retries", "3"],
        ["add", "curl -H token:" + SECRET, "--retries", "3"],
        ["submit", "x", "--env", "TOKEN=" + SECRET, "--retries", "3"],
        ["--retries", "3", "--token=" + SECRET, "add", "x"],
    ],
)
def test_what_stands_behind_a_refused_option_is_not_repeated(shared, said):
    assert SECRET not in shared.run(*said, code=2).stderr


def test_words_that_are_long_or_drive_a_terminal_are_not_typed_for_the_user(shared):
    for text in ("echo " + "x" * 500, "echo \x1b[2J", "echo a\necho b"):
        for line in (["enqueue", text], ["submit", text]):
            said = shared.run(*line, code=2).stderr
            assert "`add \"COMMAND\"`" in said and "\x1b" not in said and len(said) < 400


# ---------------------------------------------------------------- ids that no job has

DONE = {"cancel": "cancelled", "requeue": "requeued", "hold": "held", "release": "released", "prune": "deleted"}
DONE.update({"dlq retry": "requeued", "dlq purge": "deleted", "edit --priority 3": "changed"})


@pytest.mark.parametrize("name", sorted(DONE))
def test_nothing_is_done_where_one_of_the_jobs_does_not_exist_and_that_is_said(shared, name):
    before = shared.job("waiting")
    said = shared.run(*name.split(), "waiting", "nope", code=1).stderr
    told = 'nothing was %s: no job has the id "nope": `list` shows the newest\n' % DONE[name]
    assert said == "queuectl: error: " + told
    assert shared.job("waiting") == before


@pytest.mark.parametrize("name", ["show", "logs", "wait", "why", "list"])
def test_who_only_looks_is_told_the_same_of_an_id(shared, name):
    said = 'queuectl: error: no job has the id "nope": `list` shows the newest\n'
    assert shared.run(*name.split(), "nope", code=1).stderr == said


def test_a_state_in_place_of_an_id_is_told_as_one(shared):
    assert "`cancel --state pending`" in shared.run("cancel", "pending", code=1).stderr
    assert "`list --state dead`" in shared.run("why", "DEAD", code=1).stderr


@pytest.mark.parametrize(
    "line, code, said",
    [
        ("list", 0, "no jobs\nno queue in PLACE yet\n"),
        ("list --json", 0, ""),
        ("status", 0, "no queue in PLACE yet\n"),
        ("dlq list", 0, "no jobs are dead\nno queue in PLACE yet\n"),
        ("wait", 0, "no queue in PLACE yet\n"),
        ("show x", 1, 'queuectl: error: no job has the id "x": no queue in PLACE yet\n'),
        ("cancel x", 1, 'queuectl: error: nothing was cancelled: no job has the id "x": no queue in PLACE yet\n'),
    ],
)
def test_a_home_without_a_queue_is_named(near, line, code, said):
    near.path = os.path.join(near.path, "mistyped")
    assert near.run(*line.split(), code=code).stderr == said.replace("PLACE", near.path)
    assert not os.path.exists(near.path)


def test_a_database_elsewhere_that_is_not_there_is_named_itself(near):
    path = os.path.join(near.path, "gone", "x.db")
    near.run("config", "set", "db_path", path)
    assert near.run("list").stderr == "no jobs\nno queue in %s yet\n" % path


def test_a_job_that_vanishes_while_its_end_is_awaited_was_cancelled_all_the_same(near, monkeypatch):
    from queuectl_lib import errors
    from queuectl_lib.commands import cancel
    from queuectl_lib.errors import QueueError

    def gone(*_):
        raise errors.no_such_job("x")

    monkeypatch.setattr(cancel, "await_cancel", gone)
    with pytest.raises(QueueError, match="the cancel was asked for") as told:
        cancel.see_them_end(near.queue, [("x", "token")], 1.0)
    assert not isinstance(told.value, errors.NoSuchJob)


# ---------------------------------------------------------------- enqueue --command


def test_enqueue_takes_a_command_line_with_all_options_of_add(near):
    options = ["--priority", "5", "--max-retries", "2", "--delay", "1h", "--tag", "t", "--timeout", "9", "--cwd", "/"]
    near.run("enqueue", "--command", "echo hi", "--id", "one", *options)
    near.run("add", "echo hi", "--id", "two", *options)
    one, two = near.job("one"), near.job("two")
    varying = ("id", "created_at", "updated_at", "run_at", "next_run_at")
    assert {key: value for key, value in one.items() if key not in varying} == {
        key: value for key, value in two.items() if key not in varying
    }


def test_enqueue_of_a_command_says_what_add_says(near):
    assert re.fullmatch(r"\w{12}\n", near.run("enqueue", "-c", "true").stdout)
    assert near.run("enqueue", "-c", "true", "--json").json["command"] == "true"
    assert near.run("enqueue", "-c", "true", "--quiet").stdout == ""
    near.run("enqueue", "-c", "true", "--id", "x", "--unique", "k")
    assert "nothing was added" in near.run("enqueue", "-c", "true", "--unique", "k", "--verbose").stderr
    assert "exists already" in near.run("enqueue", "-c", "true", "--id", "x", code=1).stderr
    assert "command is empty" in near.run("enqueue", "-c", " ", code=2).stderr


def test_every_option_of_add_is_one_of_enqueue():
    assert set(hints.options_of("add")) - {"command"} <= set(hints.options_of("enqueue"))


def test_a_refusal_has_no_effect_on_the_options_of_the_next_call(near):
    with pytest.raises(BadInput):
        frame.load("enqueue").parse(["--nope"])
    assert near.run("enqueue", '{"command": "true", "id": "y"}').stdout == "y\n"
