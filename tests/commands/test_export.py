"""`export`: waiting jobs as scripts that other programs run, and with --take out of this queue, each of them once."""

import json
import os
import shutil
import stat
import subprocess

import pytest
from helpers import hostile
from helpers.marks import posix_only
from helpers.queue import claim, enqueue, raw

from queuectl_lib.commands import export_files
from queuectl_lib.store import changing, edges, exporting

pytestmark = posix_only

# What a job can be given at all.
TEXTS = [text for text in hostile.STRINGS if "\0" not in text and "\ud800" not in text]


def in_text(text):
    """The line ends of a text become those of a shell when it is added."""
    return text.replace("\r\n", "\n")


@pytest.fixture
def home(near):
    return near


def add(home, command, /, **fields):
    return home.run("enqueue", json.dumps(dict({"command": command, "cwd": home.path}, **fields))).id


def export(home, folder, *words, to="sh", code=0):
    return home.run("export", "--to", to, str(folder), *(words or ["--all"]), code=code)


def sh(folder, name="run.sh", *words, env=None):
    done = subprocess.run(
        ["/bin/sh", os.path.join(str(folder), name), *words],
        input=b"of the caller", stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
        env=dict(os.environ, **(env or {})),
    )  # fmt: skip
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def states_of(home):
    return {job["id"]: job["state"] for job in home.run("list", "--json").json}


# ---------------------------------------------------------------- the scripts run what the job is


def test_forty_hostile_texts_arrive_as_arguments_variables_and_in_texts(home, tmp_path):
    show = 'for one in "$@"; do printf "%s\\0" "$one"; done; printf "%s\\0" "$A"'
    for text in TEXTS:
        add(home, ["/bin/sh", "-c", show, "sh", text, ""], env={"A": text})
        add(home, "printf '%s\\0' " + export_files.quoted(text))
    export(home, tmp_path / "out")
    code, found, _ = sh(tmp_path / "out")
    assert code == 0
    assert found.split("\0") == [part for text in TEXTS for part in (text, "", text, in_text(text))] + [""]


def test_a_folder_and_a_program_of_hostile_names(home, tmp_path):
    for number, text in enumerate(text for text in TEXTS if "/" not in text and len(text) < 200):
        folder = tmp_path / "dirs" / text
        os.makedirs(str(folder))
        program = tmp_path / "bin" / ("%d" % number) / (text + "=x")
        os.makedirs(os.path.dirname(str(program)))
        program.write_text("#!/bin/sh\npwd -P | od -An -tx1 | tr -d ' \\n'; echo\n")
        program.chmod(0o700)
        path = os.path.dirname(str(program)) + ":" + os.environ["PATH"]
        add(home, [text + "=x"], cwd=str(folder), env={"PATH": path, "a.b": "1"})
    export(home, tmp_path / "out")
    code, found, said = sh(tmp_path / "out")
    places = [bytes.fromhex(line).decode()[:-1] for line in found.split()]
    assert code == 0, said
    assert {os.path.basename(place) for place in places} == set(os.listdir(str(tmp_path / "dirs")))


def test_umask_shell_merge_scripts_and_odd_variables(home, tmp_path):
    add(home, "umask; echo $0", umask="0027", shell="/bin/sh")
    add(home, "echo err >&2", merge=True)
    add(home, "#!/bin/sh\necho script; cat; exit 0\n")
    add(home, ["env"], env={"a.b": "x'y", "C": "1"})
    add(home, "-x 2>/dev/null || echo minus")
    export(home, tmp_path / "out")
    code, found, said = sh(tmp_path / "out")
    lines = found.splitlines()
    assert (code, lines[:3]) == (0, ["0027", "/bin/sh", "err"])
    assert "of the caller" not in found
    assert "script" in lines and "a.b=x'y" in lines and "C=1" in lines and "minus" in lines
    assert said == "failed: 0 of 5\n"


def test_a_folder_that_is_missing_is_no_success_elsewhere(home, tmp_path):
    add(home, "echo here", cwd=str(tmp_path / "none"))
    export(home, tmp_path / "out")
    code, found, said = sh(tmp_path / "out")
    assert (code, found) == (1, "") and "none" in said and "exit code 126" in said


def test_what_has_run_is_not_run_again(home, tmp_path):
    add(home, "echo x >> ran; exit 3")
    add(home, "echo x >> ran")
    export(home, tmp_path / "out")
    assert sh(tmp_path / "out")[0] == 1
    code, _, said = sh(tmp_path / "out")
    assert code == 1 and "jobs/000001.sh: exit code 3" in said
    with open(os.path.join(home.path, "ran")) as file:
        assert file.read() == "x\nx\n"


@pytest.mark.skipif(shutil.which("flock") is None, reason="without flock(1) nobody tells")
def test_while_what_was_begun_runs_it_is_not_begun_again(home, tmp_path):
    """Also where who began it was killed: the job goes on."""
    go = tmp_path / "go"
    add(home, "echo begun; while [ ! -e %s ]; do sleep 0.05; done; echo ended" % go)
    export(home, tmp_path / "out")
    begun = subprocess.Popen(["/bin/sh", str(tmp_path / "out" / "run.sh")], stdout=subprocess.PIPE)
    assert begun.stdout.readline() == b"begun\n"
    begun.kill()
    begun.wait()
    code, out, said = sh(tmp_path / "out")
    assert (code, out, "still runs: nothing is started" in said) == (1, "", True)
    go.write_text("")
    assert begun.stdout.read() == b"ended\n"
    begun.stdout.close()
    assert sh(tmp_path / "out")[1] == "begun\nended\n"  # its exit code is known to nobody


def test_slurm_gets_arrays_of_a_thousand_at_most_and_none_twice(home, tmp_path):
    home.run("enqueue", json.dumps([{"command": "true"}] * 1001))
    export(home, tmp_path / "out", to="slurm")
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "sbatch").write_text('#!/bin/sh\n[ -e ../no ] && exit 1\nprintf "%s|" "$@"; echo\n')
    (fake / "sbatch").chmod(0o700)
    env = {"PATH": "%s:%s" % (fake, os.environ["PATH"])}
    (tmp_path / "no").write_text("")
    assert sh(tmp_path / "out", "submit.sh", env=env)[:2] == (1, "")
    (tmp_path / "no").unlink()
    place = os.path.realpath(str(tmp_path / "out"))
    code, found, _ = sh(tmp_path / "out", "submit.sh", "--mem=4G", env=env)
    assert (code, found.splitlines()) == (0, [
        "--job-name=queuectl|--array=1-1000|--mem=4G|task.sh|%s|0|" % place,
        "--job-name=queuectl|--array=1-1|--mem=4G|task.sh|%s|1000|" % place,
    ])  # fmt: skip
    code, found, said = sh(tmp_path / "out", "submit.sh", env=env)
    assert (code, found) == (0, "") and said.count("submitted already") == 2


def test_a_task_of_an_array_runs_its_job(home, tmp_path):
    for number in range(3):
        add(home, "echo %d" % number)
    export(home, tmp_path / "out x", to="slurm")
    words = [str(tmp_path / "out x"), "1"]
    assert sh(tmp_path / "out x", "task.sh", *words, env={"SLURM_ARRAY_TASK_ID": "2"})[1] == "2\n"


def test_parallel_gets_a_list_and_a_job_log(home, tmp_path):
    add(home, "true")
    add(home, "true")
    export(home, tmp_path / "out", to="parallel")
    assert (tmp_path / "out" / "jobs.list").read_bytes() == b"jobs/000001.sh\0jobs/000002.sh\0"
    assert "parallel -0 --will-cite --joblog joblog --resume -a jobs.list" in (tmp_path / "out" / "run.sh").read_text()


# ---------------------------------------------------------------- files


def test_all_is_private_and_secrets_are_told_of(home, tmp_path):
    add(home, "true", env={"SECRET": "s3cret"})
    said = export(home, tmp_path / "out").stderr
    assert "variables" in said and "s3cret" not in said
    for place, _, names in os.walk(str(tmp_path / "out")):
        modes = [os.stat(os.path.join(place, name)).st_mode for name in [".", *names]]
        assert {stat.S_IMODE(mode) & 0o077 for mode in modes} == {0}


def test_a_folder_that_holds_something_is_left_alone(home, tmp_path):
    add(home, "true")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    assert "no empty folder" in export(home, tmp_path / "out", code=1).stderr
    assert os.listdir(str(tmp_path / "out")) == ["mine"]
    assert "no empty folder" in export(home, tmp_path / "out" / "mine", code=1).stderr
    (tmp_path / "out" / "mine").unlink()
    export(home, tmp_path / "out")


def test_a_folder_is_named_whole_and_short(home, tmp_path, monkeypatch):
    add(home, "true")
    monkeypatch.chdir(tmp_path)
    assert export(home, "./out/", "--all", "--json").json["folder"] == os.path.join(os.getcwd(), "out")
    export(home, "", code=2)


def test_what_goes_wrong_leaves_nothing(home, tmp_path):
    job = add(home, "true")
    add(home, "true")
    with raw(home.queue) as connection:
        connection.execute("UPDATE jobs SET env = '[1]' WHERE id = ?", (job,))
    assert "cannot be read" in export(home, tmp_path / "out", "--all", "--take", code=1).stderr
    assert not os.path.exists(str(tmp_path / "out")) and set(states_of(home).values()) == {"pending"}
    (tmp_path / "file").write_text("")
    assert "Not a directory" in export(home, tmp_path / "file" / "out", code=3).stderr


def test_an_export_that_was_not_finished_starts_nothing(home, tmp_path):
    add(home, "echo x")
    for to, name in (("sh", "run.sh"), ("slurm", "submit.sh"), ("parallel", "run.sh")):
        export(home, tmp_path / to, to=to)
        os.unlink(str(tmp_path / to / "complete"))
        code, found, said = sh(tmp_path / to, name)
        assert (code, found) == (1, "") and "interrupted" in said


# ---------------------------------------------------------------- which jobs


def test_only_what_waits_and_is_meant_is_exported(home, tmp_path):
    for name in ("a", "b", "c"):
        add(home, "echo " + name, id=name, tags=["x"] if name != "b" else [])
    home.run("cancel", "c")
    value = export(home, tmp_path / "out", "--tag", "x", "--json").json
    assert (value["exported"], value["taken"], value["left"], value["lacking"]) == (1, None, [], {"retries": 1})
    assert sh(tmp_path / "out")[1] == "a\n"
    assert "job c is cancelled" in export(home, tmp_path / "no", "a", "c", code=1).stderr
    assert 'no job has the id "d"' in export(home, tmp_path / "no", "d", code=1).stderr
    assert "no job matches" in export(home, tmp_path / "no", "--tag", "y", code=1).stderr
    export(home, tmp_path / "no", "--tag", "y", "--quiet")
    home.run("export", "--to", "sh", str(tmp_path / "no"), code=2)
    assert "did you mean slurm" in export(home, tmp_path / "no", to="slrum", code=2).stderr
    home.run("export", str(tmp_path / "no"), "--all", code=2)
    assert not os.path.exists(str(tmp_path / "no"))
    assert "they stay in the queue" in export(home, tmp_path / "all").stderr


def test_what_is_not_carried_over_is_told_in_one_line(home, tmp_path):
    plain = {"max_retries": 0}
    add(home, "true", id="p", max_retries=0)
    assert "not carried over" not in export(home, tmp_path / "one", "p").stderr
    add(home, "true", after=["p"], lock="db", delay="1h", hold=True, unique="k", priority=3, timeout=9, **plain)
    add(home, "true", nice=5, notify=["dead"], later_codes=[75], **plain)
    (line,) = [line for line in export(home, tmp_path / "all").stderr.splitlines() if "not carried over" in line]
    for what in ("what they come after", "locks", "time that", "holds", "unique keys", "priorities", "timeouts"):
        assert what + " (1)" in line or what in line
    assert "nice, limit and what exit codes mean (1)" in line and "notify (1)" in line and "retries" not in line


# ---------------------------------------------------------------- taken


def test_take_cancels_the_same_jobs_and_says_why(home, tmp_path):
    add(home, "echo 1", id="a")
    add(home, "echo 2", id="b", after=["a"])
    add(home, "true", id="other", after_any=["b"])
    assert export(home, tmp_path / "out", "a", "b", "--take", "--json").json["taken"] == 2
    assert states_of(home) == {"a": "cancelled", "b": "cancelled", "other": "pending"}
    for job in ("a", "b"):
        assert home.job(job)["last_error"] == "exported to %s" % (tmp_path / "out")
        assert "exported to" in home.run("why", job).stdout
    assert sh(tmp_path / "out")[:2] == (0, "1\n2\n")


def test_what_comes_after_others_is_taken_before_these_are(home, tmp_path, monkeypatch):
    """Else a worker that takes note of their end between two transactions would cancel it for their sake."""
    add(home, "echo 1", id="a")
    add(home, "echo 2", id="b", after=["a"])
    monkeypatch.setattr(changing, "ROWS", 1)
    monkeypatch.setattr(exporting.Taking, "finish", lambda verb, connection: edges.settle_some(connection, verb.now))
    assert export(home, tmp_path / "out", "--all", "--take", "--json").json["taken"] == 2
    assert home.job("b")["last_error"].startswith("exported to")


@pytest.mark.parametrize("change", ["claimed", "edited", "cancelled"])
def test_what_was_claimed_or_changed_meanwhile_stays_and_is_not_run_there(home, tmp_path, monkeypatch, change):
    for name in ("a", "b"):
        enqueue(home.queue, id=name, command="echo " + name)
    take = exporting.take

    def meanwhile(*words):
        if change == "claimed":
            assert claim(home.queue)[0].id == "a"
        elif change == "edited":
            home.run("edit", "a", "--priority", "1")
        else:
            home.run("cancel", "a")
        take(*words)

    monkeypatch.setattr(exporting, "take", meanwhile)
    said = export(home, tmp_path / "out", "--all", "--take").stderr
    assert "left 1 job in the queue, claimed or changed meanwhile: a" in said
    assert states_of(home)["b"] == "cancelled"
    code, found, told = sh(tmp_path / "out")
    assert (code, found) == (0, "b\n") and "job a stays in its queue" in told


def test_where_it_is_interrupted_nothing_is_started_and_nothing_is_in_both_places(home, tmp_path, monkeypatch):
    for name in ("a", "b"):
        add(home, "echo " + name, id=name)

    def interrupted(*words):
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "take", interrupted)
    export(home, tmp_path / "out", "--all", "--take", code=130)
    assert set(states_of(home).values()) == {"pending"}
    assert sh(tmp_path / "out")[0] == 1
    (tmp_path / "out" / "complete").write_text("")
    assert sh(tmp_path / "out")[:2] == (0, "")
