"""Text that something else than /bin/sh reads (#!, --shell); --merge; a first line that ends in a carriage return."""

import os
import sys

import pytest
from helpers.home import contents, let_go
from helpers.marks import posix_only
from helpers.queue import claim_one, enqueue, raw, rows
from helpers.waiting import wait_until

from queuectl_lib.errors import BadInput
from queuectl_lib.host import system
from queuectl_lib.jobs import interpreters
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.run import scripts
from queuectl_lib.settings import ConfigFile
from queuectl_lib.store import folder, tidying


@pytest.fixture
def home(near):
    return near


pytestmark = posix_only

PYTHON = "#!%s -I\nimport os, sys\n" % os.path.realpath(sys.executable)


def attempts(home):
    return os.listdir(home.queue.folder.attempts)


def logs(home, job):
    return home.run("logs", job).stdout


# ---------------------------------------------------------------- #!


def test_a_text_is_run_by_the_program_that_its_first_line_names(home):
    out = home.add(PYTHON + "print(sys.flags.isolated, len(sys.argv), os.stat(sys.argv[0]).st_mode & 0o777)")
    code = home.add("#!/bin/sh -e\nfalse\nexit 7", "--max-retries", "0")
    args = home.add("#!/usr/bin/env sh\necho \"$# $(basename \"$0\" | sed 's/.*[.]//')\"")
    home.drain()
    assert logs(home, out) == "1 1 384\n", "one argument of the interpreter, none of the text, and nobody else reads it"
    assert home.job(code)["exit_code"] == 1
    assert logs(home, args) == "0 cmd\n"
    assert attempts(home) == []


def test_it_is_one_process_under_its_watcher_and_told_who_it_is(home):
    job = home.add(PYTHON + "print(os.environ['QUEUECTL_JOB_ID'], os.getcwd(), os.environ['A.B'])", "--env", "A.B=1")
    home.drain()
    assert logs(home, job) == "%s %s 1\n" % (job, os.getcwd())


@pytest.mark.parametrize(
    "text, said",
    [
        ("#!\ntrue", "its first line names no interpreter"),
        ("#! \n", "its first line names no interpreter"),
        ("#!sh\n", "its first line names no interpreter"),
        ("#!/bin/nosuch -x\n", '"/bin/nosuch", which its first line names, is no program'),
        ("#!/\n", "is no program that can be run here"),
        ("#!/usr/bin/env nosuch\n", '"nosuch", which its first line names, was not found on PATH'),
        ("#!/usr/bin/env sh -e\n", "(with arguments: #!/usr/bin/env -S)"),
    ],
)
def test_what_cannot_run_here_is_refused_at_add(call, text, said):
    assert said in call("add", text, code=2).stderr


def test_windows_refuses_both(monkeypatch):
    monkeypatch.setattr(system, "WINDOWS", True)
    maker = JobMaker(0, "/", None, 0.0)
    for asked, said in (({"command": "#!/bin/sh"}, "Windows runs no text"), ({"shell": "/bin/sh"}, "on Windows cmd")):
        with pytest.raises(BadInput, match=said):
            maker.row(dict({"command": "true"}, **asked))


def test_an_interpreter_that_has_gone_meanwhile_fails_the_job_in_words(home, tmp_path):
    gone = tmp_path / "reader"
    gone.symlink_to("/bin/sh")
    job = home.add("#!%s\ntrue" % gone, "--max-retries", "0")
    gone.unlink()
    home.drain()
    assert home.job(job)["last_error"] == "the program %s does not exist" % gone
    assert attempts(home) == []


def test_the_file_of_a_job_that_outlives_its_worker_is_gone_when_it_has_ended(home):
    job = home.add("#!/bin/sh\ncd %s; echo begun >> ledger; while [ ! -e go ]; do sleep 0.03; done" % home.path)
    worker = home.start()
    wait_until(lambda: contents(home.path + "/ledger"), "the job to begin")
    assert [name for name in attempts(home) if name.endswith(".cmd")]
    for member in home.workers():
        os.kill(member["pid"], 9)
    worker.kill()
    worker.wait()
    let_go(home)
    home.drain()
    assert (home.state(job), home.job(job)["attempts"]) == ("completed", 1)
    assert attempts(home) == []


def test_the_file_of_what_nobody_knows_is_tidied(home):
    home.run("initdb")
    home.queue.folder.make()
    for name in ("0123456789abcdef.cmd", "0123456789abcdef.out"):
        open(os.path.join(home.queue.folder.attempts, name), "w").close()
    tidying.tidy(home.queue.database)
    assert attempts(home) == []


def test_the_file_left_by_a_worker_killed_behind_the_record_is_tidied(home):
    home.add("#!/bin/sh\nhead -c 40000 /dev/zero")  # so much that its file stays
    home.drain()
    token = rows(home.queue, "SELECT token FROM attempts")[0]["token"]
    open(home.queue.folder.attempt_path(token, folder.SCRIPT), "w").close()
    tidying.tidy(home.queue.database)
    assert attempts(home) == [token + ".out"]


def test_a_folder_that_was_swept_while_it_was_empty_is_made_anew(home):
    home.run("initdb")
    home.queue.folder.make()
    os.rmdir(home.queue.folder.attempts)
    found = scripts.as_list(claimed(home, "#!/bin/sh\ntrue"), os.path.join(home.queue.folder.attempts, "t.cmd"), None)
    scripts.write("#!/bin/sh\ntrue", found.command[-1])
    assert os.listdir(home.queue.folder.attempts) == ["t.cmd"]


def claimed(home, text):
    enqueue(home.queue, command=text)
    return claim_one(home.queue)


# ---------------------------------------------------------------- --shell


def test_a_shell_of_ones_own_reads_the_text(home, tmp_path):
    shell = tmp_path / "shell"
    shell.write_text('#!/bin/sh\necho "$# $1 <$2>"\n')
    shell.chmod(0o755)
    job = home.add("a 'b' $C", "--shell", shell)
    dash = home.add("-x y", "--shell", shell)
    limited = home.add("b", "--shell", shell, "--nice", "1", "--env", "A.B=1")
    home.drain()
    assert home.job(job)["shell"] == str(shell)
    assert [logs(home, one) for one in (job, dash, limited)] == ["2 -c <a 'b' $C>\n", "2 -c < -x y>\n", "2 -c <b>\n"]


def test_a_bare_name_is_looked_for_at_once(call, monkeypatch, tmp_path):
    (tmp_path / "myshell").write_text("")
    (tmp_path / "myshell").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert call("add", "x", "--shell", "myshell", "--json").json["shell"] == str(tmp_path / "myshell")


@pytest.mark.parametrize(
    "words, said",
    [
        (["x", "--shell", "nosuchshell"], "is no program that can be run here"),
        (["x", "--shell", "/etc/passwd"], "is no program that can be run here"),
        (["x", "--shell", "./sh"], "is no whole path"),
        (["x", "--shell", ""], "is no whole path"),
        (["#!/bin/sh\n", "--shell", "/bin/sh"], "#! names its own program"),
        (["--shell", "/bin/sh", "--", "x"], "a list names its own program"),
    ],
)
def test_a_shell_that_cannot_be_meant_is_refused_at_add(call, words, said):
    assert said in call("add", *words, code=2).stderr


def test_the_setting_is_for_every_text_that_names_none(home, tmp_path):
    shell = tmp_path / "shell"
    shell.write_text("#!/bin/sh\necho mine\n")
    shell.chmod(0o755)
    assert "is no whole path" in home.run("config", "set", "shell", "bash", code=2).stderr
    home.run("config", "set", "shell", shell)
    assert ConfigFile(home.path)().shell == str(shell)
    text, own = home.add("echo a"), home.add("#!/bin/sh\necho b")
    words, other = home.run("add", "--", "echo", "c").id, home.add("echo d", "--shell", "/bin/sh")
    home.drain()
    assert [logs(home, one) for one in (text, own, words, other)] == ["mine\n", "b\n", "c\n", "d\n"]
    shell.unlink()
    assert "the setting shell: " in home.run("add", "true", code=2).stderr


def test_what_somebody_has_made_of_the_rule_fails_the_job_in_words(home):
    job = home.add("true", "--max-retries", "0", "--shell", "/bin/sh")
    with raw(home.queue) as connection:
        connection.execute("UPDATE jobs SET policy = '{\"shell\": 5}'")
    home.drain()
    assert home.job(job)["last_error"] == "cannot start: its shell cannot be read"


# ---------------------------------------------------------------- --merge


@pytest.mark.parametrize("more", [[], ["--pipe-output"], ["--nice", "1"]])
def test_merged_output_stands_in_the_order_in_which_it_was_written(home, more):
    text = "for i in 1 2 3; do echo out$i; echo err$i >&2; done"
    job, apart = home.add(text, "--merge", *more), home.add(text)
    home.drain()
    found = home.run("logs", job)
    assert found.stdout == "".join("out%d\nerr%d\n" % (i, i) for i in (1, 2, 3)) and found.stderr == ""
    assert home.run("logs", apart).stdout == "out1\nout2\nout3\n"
    assert (home.job(job)["merge"], home.job(apart)["merge"]) == (True, None)
    assert attempts(home) == []


def test_not_merged_is_the_same_as_nothing_said(call):
    job = call("enqueue", '{"command": "true", "merge": false}').stdout.strip()
    assert call("show", job, "--json").json["merge"] is None
    assert "merge: true or false" in call("enqueue", '{"command": "true", "merge": 1}', code=2).stderr


# ---------------------------------------------------------------- a first line with a carriage return


@pytest.mark.parametrize("command", ["./dos.sh a b", ["./dos.sh"], "exec ./dos.sh"])
def test_a_program_whose_first_line_ends_in_a_carriage_return_is_named(home, tmp_path, command):
    (tmp_path / "dos.sh").write_bytes(b"#!/bin/sh\r\necho hi\r\n")
    (tmp_path / "dos.sh").chmod(0o755)
    words = ["--", *command] if isinstance(command, list) else [command]
    job = home.run("add", "--max-retries", "0", "--cwd", tmp_path, *words).id
    home.drain()
    assert "; the first line of ./dos.sh ends in a carriage return, as on Windows" in home.job(job)["last_error"]
    assert "sed -i" in home.job(job)["last_error"]


def test_a_pipe_in_place_of_the_program_holds_nobody_up(home, tmp_path):
    os.mkfifo(str(tmp_path / "pipe"))
    job = home.run("add", "--max-retries", "0", "--cwd", tmp_path, "./pipe").id
    home.drain()
    assert home.job(job)["exit_code"] == 126


@pytest.mark.parametrize("command", ["nosuchprogram", "exit 127", "./nosuch", "/", "./\0".replace("\0", "\x01")])
def test_nothing_is_said_where_that_is_not_why(home, command):
    job = home.add(command, "--max-retries", "0")
    home.drain()
    assert "carriage" not in home.job(job)["last_error"]


def test_nor_where_a_program_whose_first_line_is_well_says_so_itself(home, tmp_path):
    (tmp_path / "well.sh").write_bytes(b"#!/bin/sh\nexit 127\n")
    (tmp_path / "well.sh").chmod(0o755)
    job = home.add("./well.sh", "--max-retries", "0", "--cwd", tmp_path)
    home.drain()
    assert home.job(job)["exit_code"] == 127 and "carriage" not in home.job(job)["last_error"]


def test_the_words_of_a_first_line_are_those_of_the_kernel():
    found = [interpreters.named_in("#!" + line) for line in ("/a", " /a  b c \n/d", "\t/a\tb", "", "\n/a")]
    assert found == [["/a"], ["/a", "b c"], ["/a", "b"], [], []]
