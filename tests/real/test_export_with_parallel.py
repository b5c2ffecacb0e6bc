"""A real GNU parallel runs what was exported for it: each job once, as it is, and none again when started again."""

import os
import subprocess

from helpers import hostile
from helpers.real import needs

pytestmark = needs("parallel")

TEXTS = [text for text in hostile.STRINGS if "\0" not in text and "\ud800" not in text]


def started(folder, home):
    words = ["/bin/sh", os.path.join(folder, "run.sh"), "-j2", "-k"]
    environment = dict(home.environment(), HOME=folder)
    done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120)  # fmt: skip
    return done.returncode, done.stdout.decode()


def test_parallel_runs_each_job_as_it_is_and_none_twice(home, tmp_path):
    for text in TEXTS:
        home.run("add", "--", "printf", "%s\\0", text)
    home.run("add", "exit 3")
    folder = str(tmp_path / "it's a \"folder\" $x")
    home.run("export", "--to", "parallel", folder, "--all", "--take")
    code, found = started(folder, home)
    assert found.split("\0") == [*TEXTS, ""]
    assert code == 1, "one has failed"
    with open(os.path.join(folder, "joblog")) as file:
        codes = [line.split("\t")[6] for line in file.read().splitlines()[1:]]
    assert sorted(codes) == ["0"] * len(TEXTS) + ["3"]
    assert started(folder, home)[1] == ""
