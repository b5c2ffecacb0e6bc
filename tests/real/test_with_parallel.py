"""A real GNU parallel reads our job log, and runs again what has failed, exactly."""

import os
import subprocess

from helpers.real import needs

pytestmark = needs("parallel")

FAILED = [
    'printf "a\\tb" >> ran; echo >> ran; exit 3',
    "printf '%s %s\\n' \"{}\" '{/}' >> ran; exit 4",
    "echo 'tab\there' >> ran; exit 5",
    "echo '  blanks  ' >> ran; kill -9 $$",
    "echo 12 34 5 6 7 8 9 >> ran; exit 1",
]
OF_TWO_LINES = "echo 'one\ntwo' >> ran; exit 6"


def retried(home, folder):
    """What parallel has run again, in order."""
    path, ran = os.path.join(folder, "jobs.log"), os.path.join(folder, "ran")
    home.run("joblog", "-o", path)
    if os.path.exists(ran):
        os.unlink(ran)
    environment = dict(home.environment(), HOME=folder)
    words = ["parallel", "-j1", "--retry-failed", "--joblog", path]
    done = subprocess.run(words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60)  # fmt: skip
    assert "Format of" not in done.stderr.decode(), done.stderr.decode()
    with open(ran) as file:
        return file.read()


def test_retry_failed_runs_exactly_what_has_failed(home, tmp_path):
    folder = str(tmp_path)
    for command in ["echo good >> ran", *FAILED, "exit 0; =1+1 + @", "echo late >> ran"]:
        home.add(command, "--max-retries", "0", "--cwd", folder)
    words = ["sh", "-c", 'echo "$1" >> ran; exit 7', "x", "a 'b\" $c"]
    home.run("add", "--max-retries", "0", "--cwd", folder, "--", *words)
    home.add("echo again >> ran; test -e second || { touch second; exit 1; }", "--max-retries", "1", "--cwd", folder)
    home.add("echo codes >> ran; exit 24", "--ok-codes", "24", "--max-retries", "0", "--cwd", folder)
    home.drain()
    expected = "a\tb\n{} {/}\ntab\there\n  blanks  \n12 34 5 6 7 8 9\na 'b\" $c\n"
    assert retried(home, folder) == expected


def test_a_command_of_several_lines_comes_back_as_it_was(home, tmp_path):
    folder = str(tmp_path)
    for command in ("echo good >> ran", OF_TWO_LINES, FAILED[0]):
        home.add(command, "--max-retries", "0", "--cwd", folder)
    home.drain()
    assert retried(home, folder) == "one\ntwo\na\tb\n"


def test_our_columns_are_those_that_parallel_writes_itself(home, tmp_path):
    folder = str(tmp_path)
    home.add("echo one", "--cwd", folder)
    home.drain()
    ours = home.run("joblog").stdout.splitlines()
    log = os.path.join(folder, "theirs.log")
    words = ["parallel", "--joblog", log, ":::", "echo one"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    subprocess.run(words, env=dict(home.environment(), HOME=folder), check=True, **pipes)
    with open(log) as file:
        theirs = file.read().splitlines()
    assert ours[0] == theirs[0]
    places = [0, 1, 4, 5, 6, 7, 8]  # all but the times
    assert [ours[1].split("\t")[place] for place in places] == [theirs[1].split("\t")[place] for place in places]
