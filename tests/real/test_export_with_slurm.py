"""A real Slurm runs what was exported for it: an array of tasks, each job once, and none again when submitted again."""

import os
import subprocess

import pytest
from helpers import slurm
from helpers.real import needs
from helpers.waiting import wait_until

pytestmark = needs(*slurm.PROGRAMS, "sbatch")


@pytest.fixture(scope="module")
def cluster():
    with slurm.Slurm() as one:
        yield one


def submitted(cluster, folder, *words):
    environment = dict(os.environ, **cluster.environment)
    done = subprocess.run(["/bin/sh", os.path.join(folder, "submit.sh"), *words], env=environment, timeout=60,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    return done.returncode, done.stdout.decode() + done.stderr.decode()


def test_an_array_runs_each_job_once_with_its_own_folder_umask_and_variables(cluster, home, tmp_path):
    texts = ["it's", "two\nlines", "$HOME `x`", "\u5bbd"]
    for text in texts:
        words = ["--cwd", str(tmp_path), "--umask", "0027", "--env", "A=" + text]
        home.run("add", *words, 'printf "%s\\0%s\\0" "$A" "$(umask)" >> ran')
    folder = str(tmp_path / "it's far")
    home.run("export", "--to", "slurm", folder, "--all", "--take")
    code, said = submitted(cluster, folder, "--mem=10M")
    assert code == 0 and "Submitted batch job" in said, said
    wait_until(lambda: cluster.ask("squeue", "-h") == "", "the tasks to end", 60)
    with open(str(tmp_path / "ran"), encoding="utf-8") as file:
        found = file.read().split("\0")
    assert sorted(found) == sorted([part for text in texts for part in (text, "0027")] + [""])
    code, said = submitted(cluster, folder)
    assert code == 0 and "submitted already" in said and "Submitted batch" not in said
