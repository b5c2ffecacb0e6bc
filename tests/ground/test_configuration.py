"""Settings: config.json, the commands that change it, who sees a change when, and which home it is read from."""

import json
import os
import stat
import subprocess
import sys
import threading

import pytest
from helpers.bundle import ROOT, copy_bundle
from helpers.marks import WINDOWS, posix_only
from helpers.processes import PYTHON
from helpers.waiting import wait_until

from queuectl_lib import settings, times
from queuectl_lib.commands.config import Changeable
from queuectl_lib.errors import HostError, QueueError
from queuectl_lib.jobs.making import JobMaker
from queuectl_lib.settings import ConfigFile
from queuectl_lib.store import outlook

DEFAULTS = settings.SETTING_DEFAULTS

# A value for each setting that is not its default: as typed, and as stored.
CHANGES = {
    "max_retries": ("7", 7),
    "backoff_base": ("1.5", 1.5),
    "backoff_cap": ("1h30m", 5400.0),
    "backoff": ("30s, 2m", "30s,2m"),
    "jitter": ("20%", 0.2),
    "ok_codes": ("0,24-26", [0, 24, 25, 26]),
    "later_codes": ("75", [75]),
    "dead_codes": ("64-65,78", [64, 65, 78]),
    "max_snoozes": ("0", 0),
    "timeout": ("90s", 90.0),
    "shell": ("none", None) if WINDOWS else ("/bin/sh", "/bin/sh"),
    "db_path": ("other.db", "other.db"),
    "poll_interval": ("0.5", 0.5),
    "grace": ("3", 3.0),
    "max_output": ("1048576", 1048576),
    "durability": ("off", "off"),
    "hook": ('["./mail.sh", "me"]', ["./mail.sh", "me"]),
    "hook_on": ("completed,dead", ["dead", "completed"]),
    "hook_every": ("1m", 60.0),
    "hook_max_age": ("2h", 7200.0),
    "launchers": ('{"slurm": {"later_codes": [75]}}', {"slurm": {"later_codes": [75]}}),
    "launcher": ("none", None),
}


def config_path(home):
    return os.path.join(home.path, "config.json")


def files_in(home):
    """What lies in the home, less the lock file that Windows needs."""
    return [name for name in os.listdir(home.path) if name != "config.json.lock"]


def write_config(home, text):
    with open(config_path(home), "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode("utf-8"))


def read_config(home):
    with open(config_path(home), "rb") as file:
        return json.loads(file.read().decode("utf-8"))


def settings(call):
    return call("config", "get", "--json").json


# ---------------------------------------------------------------- get, set, unset


def test_this_table_has_a_change_for_every_setting():
    assert set(CHANGES) == set(DEFAULTS)


def test_without_a_file_every_default_holds_and_no_file_is_made(home, call):
    assert settings(call) == DEFAULTS
    assert not os.path.exists(config_path(home))


def test_the_file_that_is_shipped_states_the_defaults():
    with open(os.path.join(ROOT, "config.json"), encoding="utf-8") as file:
        assert json.load(file) == DEFAULTS


@pytest.mark.parametrize("key", sorted(CHANGES))
def test_a_setting_is_set_read_back_and_unset(home, call, key):
    typed, stored = CHANGES[key]
    call("config", "set", key, typed)
    assert read_config(home) == {key: stored}
    assert settings(call) == dict(DEFAULTS, **{key: stored})
    assert call("config", "get", key, "--json").json == stored
    call("config", "unset", key)
    assert read_config(home) == {}
    assert settings(call) == DEFAULTS


@pytest.mark.parametrize(
    "name, key, typed, shown",
    [
        ("default_max_retries", "max_retries", "5", "5"),
        ("max-retries", "max_retries", "6", "6"),
        ("default-max-retries", "max_retries", "0", "0"),
        ("job_timeout", "timeout", "2m", "120"),
        ("job-timeout", "timeout", "none", "none"),
        ("worker_poll_interval", "poll_interval", "0.5", "0.5"),
        ("worker-poll-interval", "poll_interval", "2", "2"),
        ("backoff-base", "backoff_base", "3", "3"),
    ],
)
def test_another_name_means_the_same_setting(home, call, name, key, typed, shown):
    call("config", "set", key, CHANGES[key][0])
    call("config", "set", name, typed)
    assert list(read_config(home)) == [key], "one setting, one line, under its own name"
    assert call("config", "get", key).stdout == call("config", "get", name).stdout == shown + "\n"
    call("config", "unset", name)
    assert read_config(home) == {}


@pytest.mark.parametrize("name", ["default_max_retries", "max-retries", "default-max-retries"])
def test_another_name_in_the_file_counts_and_is_replaced_by_a_set(home, call, name):
    write_config(home, json.dumps({name: 5}))
    assert settings(call)["max_retries"] == 5
    call("config", "set", "max_retries", "6")
    assert read_config(home) == {"max_retries": 6}


def test_one_setting_under_two_names_is_refused(home, call):
    write_config(home, '{"max_retries": 1, "default_max_retries": 2}')
    assert "max_retries is set twice" in call("config", "get", code=3).stderr
    call("config", "set", "max_retries", "4")
    assert read_config(home) == {"max_retries": 4}, "and a set puts it right"


def test_get_shows_which_values_are_defaults(home, call):
    call("config", "set", "grace", "3")
    lines = call("config", "get").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(DEFAULTS)
    assert [line.split()[0] for line in lines if not line.endswith("(default)")] == ["grace"]


def test_a_file_with_some_keys_leaves_the_others_at_their_defaults(home, call):
    write_config(home, '{"backoff_cap": 60}')
    assert settings(call) == dict(DEFAULTS, backoff_cap=60)


def test_a_set_keeps_the_other_keys_in_their_places(home, call):
    write_config(home, '{"grace": 1, "db_path": "\u00fc.db", "max_retries": 2}')
    call("config", "set", "backoff_base", "3")
    assert read_config(home) == {"grace": 1, "db_path": "\u00fc.db", "max_retries": 2, "backoff_base": 3}
    assert list(read_config(home))[:2] == ["grace", "db_path"]


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    "name, near",
    [
        ("max_retry", "max_retries"),
        ("maxretries", "max_retries"),
        ("backof_base", "backoff_base"),
        ("backof", "backoff"),
        ("poll", "poll_interval"),
        ("TIMEOUT", "did you mean timeout"),
        ("zzz", "known: max_retries"),
        ("", "known: "),
    ],
)
@pytest.mark.parametrize("words", [("get",), ("set", "1"), ("unset",)], ids=lambda words: words[0])
def test_an_unknown_setting_is_refused_with_the_nearest_match(home, call, words, name, near):
    error = call("config", words[0], name, *words[1:], code=2).stderr
    assert 'unknown setting "%s"' % name in error
    assert near in error
    assert not os.path.exists(config_path(home))


def test_an_unknown_key_in_the_file_is_refused_with_the_nearest_match_and_can_be_unset(home, call):
    write_config(home, '{"max_retrys": 5}')
    error = call("status", code=3).stderr
    assert "config.json" in error
    assert 'unknown setting "max_retrys": did you mean max_retries?' in error
    call("config", "unset", "max_retrys")
    assert read_config(home) == {}
    assert settings(call) == DEFAULTS


@pytest.mark.parametrize(
    "key, typed",
    [
        ("max_retries", "-1"),
        ("max_retries", "1.5"),
        ("max_retries", "many"),
        ("max_retries", ""),
        ("max_retries", "1000001"),
        ("max_retries", "9" * 5000),
        ("max_retries", "\u0665"),
        ("backoff_base", "-1"),
        ("backoff_base", "nan"),
        ("backoff_base", "inf"),
        ("backoff_base", "1e3"),
        ("backoff_base", "1000000001"),
        ("backoff_base", "two"),
        ("backoff_cap", "-1"),
        ("backoff_cap", "soon"),
        ("timeout", "0"),
        ("timeout", "-5"),
        ("timeout", "nan"),
        ("poll_interval", "0"),
        ("poll_interval", "2h"),
        ("grace", "x"),
        ("db_path", ""),
    ],
    ids=lambda value: value[:12].encode("ascii", "backslashreplace").decode() or "empty",
)
def test_a_value_that_cannot_be_meant_is_refused_and_changes_nothing(home, call, key, typed):
    write_config(home, '{"grace": 1}')
    error = call("config", "set", "--", key, typed, code=2).stderr
    assert key in error
    assert len(error) < 300
    assert read_config(home) == {"grace": 1}


NAMES_THE_COMMA = sys.version_info >= (3, 13)  # Python's json then points at the comma itself
NO_SETTINGS = [
    ("{", "line 1, column 2"),
    ("", "line 1, column 1"),
    ('{\n  "max_retries": 3,\n  "grace": 1,\n}\n', "line 3, column 13" if NAMES_THE_COMMA else "line 4, column 1"),
    ('{\n  "max_retries": 3\n  "grace": 1\n}', "line 3, column 3"),
    ("{'max_retries': 3}", "line 1, column 2"),
    ('{"max_retries": 3} tail', "line 1, column 20"),
    ('{\r\n"max_retries" 3}', "line 2, column 15"),
    ("[1]", "line 1, column 1"),
    ("null", "line 1, column 1"),
    ('{"grace": 3, "grace": 3}', 'the key "grace" comes twice'),
    ('{"max_retries": NaN}', "NaN is not a number"),
    ('{"grace": -Infinity}', "-Infinity is not a number"),
    (b"\xff\xfe{\x00}\x00", "not UTF-8 at byte 0"),
    (b'{"db_path": "\xe4"}', "not UTF-8 at byte 13"),
    ("[" * 100000, ""),
]
WRONG_VALUES = [
    ('{"backoff_cap": 1e999}', "backoff_cap: inf is not between"),
    ('{"max_retries": "3"}', 'max_retries: "3" is not a whole number'),
    ('{"max_retries": true}', "max_retries: True is not a whole number"),
    ('{"max_retries": 3.0}', "max_retries: 3.0 is not a whole number"),
    ('{"backoff_base": "2"}', 'backoff_base: "2" is not a number'),
    ('{"db_path": 5}', "db_path: 5 is not text"),
    ('{"db_path": "a\\u0000b"}', "holds a NUL character"),
    ('{"db_path": "\\ud800"}', "is not valid UTF-8"),
    ('{"poll_interval": 0}', "poll_interval: 0.0 is not a number from 0.01 to 3600"),
    ('{"max_retries": %s}' % ("9" * 4000), "max_retries: a number of 13288 bits is not between 0 and 1000000"),
    ('{"max_retries": %s}' % ("9" * 5000), ""),
]


@pytest.mark.parametrize("text, place", NO_SETTINGS + WRONG_VALUES, ids=range(len(NO_SETTINGS + WRONG_VALUES)))
def test_a_broken_file_is_one_line_that_names_file_and_place_and_stops_every_command(home, call, text, place):
    write_config(home, text)
    for words in (("status",), ("add", "true"), ("config", "get")):
        error = call(*words, code=3).stderr
        assert config_path(home) in error
        assert place in error
        assert len(error) < 500
    assert files_in(home) == ["config.json"], "a call that failed has left something behind"


@pytest.mark.parametrize("text", [text for text, _ in NO_SETTINGS], ids=range(len(NO_SETTINGS)))
def test_a_broken_file_is_never_overwritten(home, call, text):
    write_config(home, text)
    with open(config_path(home), "rb") as file:
        before = file.read()
    for words in (("set", "grace", "3"), ("unset", "grace")):
        assert config_path(home) in call("config", *words, code=3).stderr
        with open(config_path(home), "rb") as file:
            assert file.read() == before
    assert files_in(home) == ["config.json"]


@pytest.mark.parametrize("text", ['{"grace": "x"}', '{"grace": -1, "max_retries": 4}', '{"grace": null}'])
def test_a_wrong_value_is_put_right_by_a_set(home, call, text):
    write_config(home, text)
    call("status", code=3)
    call("config", "set", "grace", "3")
    assert read_config(home) == dict(json.loads(text), grace=3)
    assert settings(call)["grace"] == 3


@pytest.mark.parametrize("text", ["\ufeff{}", '\ufeff{\r\n  "max_retries": 5\r\n}\r\n', '\ufeff{"max_retries": 5}'])
def test_a_file_written_by_powershell_or_notepad_works(home, call, text):
    write_config(home, text)
    assert settings(call)["max_retries"] == (5 if "max" in text else 3)
    call("config", "set", "grace", "3")
    assert read_config(home)["grace"] == 3


@posix_only
def test_a_directory_in_place_of_the_file_is_refused(home, call):
    os.mkdir(config_path(home))
    for words in (("status",), ("config", "set", "grace", "3")):
        assert config_path(home) in call(*words, code=3).stderr
    assert os.path.isdir(config_path(home))


# ---------------------------------------------------------------- many writers, many readers


@pytest.mark.parametrize("count", [2, 8])
def test_processes_that_set_different_keys_at_once_all_take_effect(home, call, count):
    keys = sorted(CHANGES)[:count]
    assert len(keys) == count
    started = [
        subprocess.Popen(home.command("config", "set", key, CHANGES[key][0]), stderr=subprocess.PIPE) for key in keys
    ]
    said = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0] * count, said
    assert settings(call) == dict(DEFAULTS, **{key: CHANGES[key][1] for key in keys})


def test_a_change_waits_for_the_one_under_way_and_builds_on_it(home):
    config = Changeable(home.path)
    inside, proceed = threading.Event(), threading.Event()
    replace = config.replace

    def slow_replace(content):
        inside.set()
        assert proceed.wait(30)
        replace(content)

    config.replace = slow_replace
    first = threading.Thread(target=config.change, args=("grace", 3, False))
    first.start()
    assert inside.wait(30)
    second = threading.Thread(target=Changeable(home.path).change, args=("max_retries", 7, False))
    second.start()
    second.join(0.2)
    assert second.is_alive(), "it did not wait"
    proceed.set()
    first.join(30)
    second.join(30)
    assert read_config(home) == {"grace": 3, "max_retries": 7}


@posix_only  # on Windows a reader that never rests lets nobody replace the file
def test_a_reader_never_sees_half_a_file(home):
    config = Changeable(home.path)
    config.change("max_retries", 0, False)
    stop, broken = threading.Event(), []

    def read():
        while not stop.is_set():
            try:
                ConfigFile(home.path)()
            except QueueError as error:
                broken.append(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(60):
        config.change("db_path", "x/" * (number * 8) + "x", False)
    stop.set()
    reader.join()
    assert broken == []


@posix_only
def test_the_file_is_replaced_never_written_into(home, call):
    call("config", "set", "grace", "3")
    with open(config_path(home), "rb") as held:
        before = os.fstat(held.fileno()).st_ino
        call("config", "set", "grace", "4")
        assert os.stat(config_path(home)).st_ino != before
        assert json.loads(held.read().decode("utf-8")) == {"grace": 3}
    assert files_in(home) == ["config.json"]


def test_a_set_that_cannot_be_written_leaves_the_old_file_and_no_rubbish(home, monkeypatch):
    config = Changeable(home.path)
    config.change("grace", 3, False)

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HostError, match="No space left on device"):
        config.change("grace", 4, False)
    assert read_config(home) == {"grace": 3}
    assert files_in(home) == ["config.json"]


@posix_only
def test_a_set_removes_what_a_killed_one_left_half_written(home, call):
    left = os.path.join(home.path, "config.json.123.partial")
    with open(left, "w") as file:
        file.write("{")
    call("config", "set", "max_retries", "5")
    assert not os.path.exists(left)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@posix_only
def test_the_file_is_private_whatever_the_umask(home, umask):
    old = os.umask(umask)
    try:
        home.run("config", "set", "grace", "3")
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(config_path(home)).st_mode) == 0o600


@posix_only
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o400])
def test_a_set_keeps_the_mode_that_the_file_has(home, call, mode):
    write_config(home, "{}")
    os.chmod(config_path(home), mode)
    call("config", "set", "grace", "3")
    assert stat.S_IMODE(os.stat(config_path(home)).st_mode) == mode


@posix_only
def test_who_may_only_read_the_home_cannot_hold_up_a_set(home):
    """Any user can lock a folder that he may open."""
    import fcntl

    fd = os.open(home.path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        home.run("config", "set", "grace", "3", timeout=20)
    finally:
        os.close(fd)
    assert files_in(home) == ["config.json"]


# ---------------------------------------------------------------- workers follow


def test_a_worker_uses_a_changed_setting_for_the_next_job_without_a_restart(home):
    home.run("config", "set", "backoff_base", "100000")
    home.run("config", "set", "backoff_cap", "50000")
    home.start()
    first = home.add("exit 1")
    home.wait_for_state(first, "failed")
    worker = home.job(first)["worker"]
    due = outlook.under_way(home.queue.database, 0)[1]
    assert due == pytest.approx(times.utc_seconds(home.job(first)["updated_at"]) + 50000, abs=0.01)
    home.run("config", "set", "backoff_base", "0")
    second = home.add("exit 1", "--max-retries", "2")
    home.wait_for_state(second, "dead")
    assert (home.job(second)["attempts"], home.job(second)["worker"]) == (3, worker)


@posix_only
def test_a_changed_timeout_holds_for_the_next_attempt(home):
    home.start()
    first = home.add("true")
    home.wait_for_state(first, "completed")
    home.run("config", "set", "timeout", "0.2")
    second = home.add("exec sleep 60", "--max-retries", "0")
    home.wait_for_state(second, "dead")
    assert home.job(second)["history"][0]["outcome"] == "timed out"
    assert home.job(first)["worker"] == home.job(second)["worker"]


def test_a_worker_goes_on_with_the_old_settings_while_the_file_is_broken(home):
    home.run("config", "set", "backoff_base", "0")
    process = home.start()
    home.wait_for_workers(1)
    write_config(home, '{"backoff_base": ')
    row = JobMaker(1, home.path, None, 1000000000.0).row({"command": "exit 1", "id": "job"})
    home.queue.enqueue(row)
    wait_until(lambda: home.state("job") == "dead", "the job to be run twice")
    with open(process.log, encoding="utf-8") as log:
        said = [line for line in log if "config.json" in line]
    assert len(said) == 1, "said once, not at every job: %s" % said
    assert "line 1, column 18" in said[0]
    assert "the old settings hold" in said[0]


def test_a_worker_does_not_start_on_a_broken_file(home):
    write_config(home, "{")
    assert "line 1, column 2" in home.run("worker", "start", "--drain", code=3).stderr


# ---------------------------------------------------------------- which home


def run_script(script, *words, cwd=None, home=None):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("QUEUECTL_")}
    if home is not None:
        environment["QUEUECTL_HOME"] = str(home)
    command = PYTHON + [str(script)] + [str(word) for word in words]
    done = subprocess.run(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8")


@pytest.fixture
def program(tmp_path):
    """The program as it lies on a host, in a directory of its own, and a current directory that sets traps."""
    program = tmp_path / "program"
    program.mkdir(mode=0o700)
    copy_bundle(program, used_by=sys.executable)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "config.json").write_text("{broken")
    (elsewhere / "storage.py").write_text("raise SystemExit('the wrong storage')")
    return program / "queuectl.py"


def database(script, *words, **options):
    return json.loads(run_script(script, *(words + ("status", "--json")), **options))["database"]


def same(path, expected):
    assert os.path.realpath(path) == os.path.realpath(str(expected))


def test_home_is_the_directory_of_the_program_never_the_current_one(program, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    before = sorted(os.listdir(str(elsewhere)))
    same(database(program, cwd=str(elsewhere)), program.parent / "queuectl.db")
    run_script(program, "add", "true", cwd=str(elsewhere))
    assert (program.parent / "queuectl.db").exists()
    assert sorted(os.listdir(str(elsewhere))) == before


def test_the_variable_names_a_home_and_the_option_overrules_it(program, tmp_path):
    cwd = str(tmp_path / "elsewhere")
    one, two = tmp_path / "one", tmp_path / "two"
    same(database(program, home=one, cwd=cwd), one / "queuectl.db")
    same(database(program, "--home", two, home=one, cwd=cwd), two / "queuectl.db")
    same(database(program, "--home=%s" % two, home=one, cwd=cwd), two / "queuectl.db")


def test_an_empty_variable_is_no_home(program, tmp_path):
    same(database(program, home="", cwd=str(tmp_path / "elsewhere")), program.parent / "queuectl.db")


def test_a_relative_home_starts_from_the_current_directory(program, tmp_path):
    same(database(program, "--home", "sub", cwd=str(tmp_path)), tmp_path / "sub" / "queuectl.db")
    same(database(program, home="sub", cwd=str(tmp_path)), tmp_path / "sub" / "queuectl.db")


@posix_only
def test_a_symbolic_link_to_the_program_leads_to_the_home_of_the_real_one(program, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "first").symlink_to(program)
    (folder / "second").symlink_to(folder / "first")
    cwd = str(tmp_path / "elsewhere")
    same(database(folder / "second", cwd=cwd), program.parent / "queuectl.db")
    run_script(folder / "second", "add", "true", cwd=cwd)
    assert os.listdir(str(folder)) and not [name for name in os.listdir(str(folder)) if "db" in name]
    assert (program.parent / "queuectl.db").exists()


def test_an_option_behind_the_command_names_the_home_too(home):
    done = subprocess.run(
        [sys.executable, os.path.join(ROOT, "queuectl.py"), "add", "true", "--home", home.path],
        stdout=subprocess.PIPE,
        env=home.environment(),
    )
    assert done.returncode == 0
    assert home.state(done.stdout.decode().strip()) == "pending"


def test_an_empty_home_is_refused(tmp_path):
    done = subprocess.run(
        [sys.executable, os.path.join(ROOT, "queuectl.py"), "--home", "", "status"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=str(tmp_path),
    )
    told = done.stderr.replace(b"\r\n", b"\n")
    assert (done.returncode, done.stdout, told) == (2, b"", b"queuectl: error: --home is empty\n")
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.parametrize("words", [("status",), ("list",), ("config", "get"), ("dlq", "list")], ids=" ".join)
def test_looking_makes_no_home(tmp_path, words):
    missing = tmp_path / "missing"
    run_script(os.path.join(ROOT, "queuectl.py"), "--home", missing, *words)
    assert not missing.exists()


def test_the_database_path_is_relative_to_home(home, tmp_path):
    home.run("config", "set", "db_path", "sub.db")
    home.run("add", "true", cwd=str(tmp_path))
    assert os.path.exists(os.path.join(home.path, "sub.db"))
    home.run("config", "set", "db_path", str(tmp_path / "absolute.db"))
    home.run("add", "true")
    assert (tmp_path / "absolute.db").exists()


@pytest.mark.parametrize("text", ["1234567", "0.1234567", "100000000"])
def test_a_number_is_shown_with_all_its_digits(home, text):
    home.run("config", "set", "backoff_cap", text)
    assert home.run("config", "get", "backoff_cap").stdout == text + "\n"
    home.run("config", "set", "backoff_cap", home.run("config", "get", "backoff_cap").stdout.strip())


@pytest.mark.parametrize(
    "text, place",
    [('{\n  "grace": 5,\n  "grace": 6\n}', "line 3, column 3"), ('{\n\n"grace": NaN}', "line 3, column 10")],
)
def test_what_python_would_read_and_we_do_not_is_told_with_its_place(home, text, place):
    with open(os.path.join(home.path, "config.json"), "w") as file:
        file.write(text)
    assert place in home.run("config", "get", code=3).stderr


@pytest.mark.parametrize("words", [["worker", "--home", "H", "stop"], ["config", "--home", "H", "get"]])
def test_home_may_stand_between_the_two_words_of_a_command(home, words):
    home.run(*[home.path if word == "H" else word for word in words])


@posix_only
def test_a_settings_file_that_is_a_pipe_is_told_and_never_waited_for(home):
    os.makedirs(home.path, exist_ok=True)
    os.mkfifo(os.path.join(home.path, "config.json"), 0o600)
    for words in (["add", "true"], ["list"], ["worker", "stop", "--now"]):
        assert "it is no regular file" in home.run(*words, code=3, timeout=20).stderr
