"""A crontab read as schedules: each line keeps its meaning, or stays where it is and is named."""

import os
import re
import subprocess
import time

import pytest
from helpers.marks import posix_only

from queuectl_lib.commands import cron
from queuectl_lib.jobs import crontab, ids, own_calls, recurrence
from queuectl_lib.jobs.making import JobMaker

SCRIPT = "/home/me/queue/queuectl.py"


def same(path):
    return {"/home/me/bin/q": SCRIPT}.get(os.path.normpath(path), os.path.normpath(path))


def place(**changes):
    given = {"user": "me", "user_home": "/home/me", "script": SCRIPT, "queue_home": "/home/me/queue", "real": same}
    given.update(changes)
    return own_calls.Place(**given)


def read(text, **changes):
    return crontab.read(text, place(**changes))


def one(text, **changes):
    """The only schedule of a crontab about which nothing else is to be said."""
    found = read(text, **changes)
    assert (found.refused, found.notes) == ([], [])
    (schedule,) = found.schedules
    return schedule


def refusal(text, **changes):
    found = read(text, **changes)
    assert found.schedules == []
    ((number, why),) = found.refused
    assert "\n" not in why
    return number, why


pytestmark = posix_only


# ---------------------------------------------------------------- lines


def test_a_line_becomes_a_schedule_that_means_what_cron_means():
    assert one("17 3 * * *\t/home/me/bin/backup --all\n") == {
        "name": "backup-all-" + one("17 3 * * *\t/home/me/bin/backup --all\n")["name"][-4:],
        "when": "17 3 * * *",
        "tz": "local",
        "missed": "skip",
        "overlap": "allow",
        "job": {"command": "/home/me/bin/backup --all", "cwd": "/home/me", "max_retries": 0},
    }


@pytest.mark.parametrize(
    "line, when, command",
    [
        ("@daily true", "@daily", "true"),
        ("  @Hourly   true  ", "@hourly", "true"),
        ("*/5\t1-3 *  jan,feb sun   echo 'a  b' # c", "*/5 1-3 * jan,feb sun", "echo 'a  b' # c"),
        ("-*/15 * * * * true", "*/15 * * * *", "true"),
        ("0 0 * * * X=1 Y=2 env", "0 0 * * *", "X=1 Y=2 env"),
        ("0 0 * * * test x = x", "0 0 * * *", "test x = x"),
        ("0 0 * * * date +\\%F; echo 100\\%", "0 0 * * *", "date +%F; echo 100%"),
        ("0 0 * * * echo 'a\\nb' \\\\", "0 0 * * *", "echo 'a\\nb' \\\\"),
        ("0 0 * * * true\r", "0 0 * * *", "true"),
        ("0 0 * * * ls a\\ ", "0 0 * * *", "ls a\\ "),
        ("0 0 * * * echo \u00e9\u4e2d", "0 0 * * *", "echo \u00e9\u4e2d"),
    ],
)
def test_fields_and_command_are_told_apart_as_cron_does(line, when, command):
    schedule = one("# a comment\n\n   # another one\n" + line)
    assert (schedule["when"], schedule["job"]["command"]) == (when, command)
    recurrence.parse(schedule["when"], schedule["tz"], 0.0)


@pytest.mark.parametrize(
    "line, why",
    [
        ("* * * * true", "when: .* in day of week|neither NAME=value nor five fields and a command"),
        ("* * * * *", "neither NAME=value nor five fields and a command"),
        ("nonsense", "neither NAME=value nor five fields and a command"),
        ("61 * * * * true", "when: .*61 is not between 0 and 59"),
        ("0~9 * * * * true", "when: .*~ and H are not known"),
        ("0 0 31 2 * true", "no such day in any year"),
        ("@reboot /home/me/bin/server", "when: @reboot .*leave it in the crontab"),
        ("@fortnightly true", "unknown time"),
        ("0 0 * * * root apt-get update", "root stands before the command: .*--system"),
        ("0 0 * * * me backup", "me stands before the command: .*--system"),
        ("0 0 * * * a\0b", "NUL"),
        ("0 0 * * * a\ud800b", "not valid UTF-8"),
        ("0 0 * * * " + "x" * 140000, "longer than"),
    ],
    ids=lambda text: text[:20],
)
def test_what_cannot_be_taken_over_is_refused_by_its_line_and_the_others_are_taken(line, why):
    found = read("# first\n%s\n1 2 * * * true\n" % line)
    ((number, text),) = found.refused
    assert number == 2 and re.search(why, text) and "\n" not in text
    assert [schedule["when"] for schedule in found.schedules] == ["1 2 * * *"]
    assert list(found.lines.values()) == [3]


# ---------------------------------------------------------------- variables


def test_variables_hold_for_the_lines_below_them():
    found = read(
        "A=1\n0 1 * * * one\n  B = \"two  words\" \nA=\n'C'='\n0 2 * * * two\nPATH=$HOME/bin:/bin\n0 3 * * * three\n"
    )
    assert [schedule["job"].get("env") for schedule in found.schedules] == [
        {"A": "1"},
        {"A": "", "B": "two  words", "C": "'"},
        {"A": "", "B": "two  words", "C": "'", "PATH": "$HOME/bin:/bin"},
    ]
    assert found.notes == [] == found.refused


def test_home_is_where_a_job_runs():
    assert one("HOME=/srv/x/\n@daily true")["job"] == {
        "command": "true",
        "env": {"HOME": "/srv/x/"},
        "cwd": "/srv/x",
        "max_retries": 0,
    }


def test_another_shell_runs_the_text():
    job = one("SHELL=/bin/bash\n@daily shopt -s nullglob; echo *\\%")["job"]
    assert job["command"] == ["/bin/bash", "-c", "shopt -s nullglob; echo *%"]
    assert job["env"] == {"SHELL": "/bin/bash"}
    for usual in ("/bin/sh", ""):
        assert one("SHELL=%s\n@daily true" % usual)["job"] == {"command": "true", "cwd": "/home/me", "max_retries": 0}


def test_the_zone_of_the_lines_is_kept():
    found = read(
        "@daily one\nCRON_TZ=UTC\n@daily two\nCRON_TZ=+02:00\n@daily three\nCRON_TZ=\n@daily four\n", zone="local"
    )
    assert [schedule["tz"] for schedule in found.schedules] == ["local", "UTC", "+02:00", "local"]
    assert [schedule["job"].get("env") for schedule in found.schedules] == [None] * 4
    number, why = refusal("CRON_TZ=Nowhere/At-all\n@daily true")
    assert number == 2 and why.startswith("tz: ")


def test_what_is_lost_is_noted_once():
    found = read('MAILTO=""\n@daily one\nMAILTO=me\n@daily two\nMAILTO=you\nRANDOM_DELAY=5\n@daily three\n')
    assert found.notes == [
        "line 3: MAILTO is not heeded: output is not mailed: `logs` shows it, and `check` tells of dead jobs",
        "line 6: RANDOM_DELAY is not heeded: slots come at their time, without a random delay",
    ]
    assert len(found.schedules) == 3 and all("env" not in schedule["job"] for schedule in found.schedules)


def test_a_variable_that_no_job_can_have_is_refused_with_the_line_that_needs_it():
    number, why = refusal("QUEUECTL_TOKEN=hush-hush\n@daily true")
    assert number == 2 and "QUEUECTL_TOKEN" in why and "hush" not in why


# ---------------------------------------------------------------- input


@pytest.mark.parametrize(
    "command, same_text",
    [
        ("mail me%Hello%%it's 5\\% more", "printf '%s\\n' Hello '' 'it'\"'\"'s 5% more' | mail me"),
        ("cat%a%", "printf '%s\\n' a | cat"),
        ("cd /x && cat; date +\\%F%a b", "printf '%s\\n' 'a b' | /bin/sh -c 'cd /x && cat; date +%F'"),
        ("true%", "true"),
        ("echo a\\\\%b", "printf '%s\\n' b | /bin/sh -c 'echo a\\\\'"),
    ],
)
def test_a_bare_percent_is_refused_with_the_shell_text_that_does_the_same(command, same_text):
    number, why = refusal("A=1\n0 0 * * * %s\n" % command)
    escaped = same_text.replace("%", "\\%")  # for the crontab
    assert (number, why) == (2, "% begins the input of the command, and a job has none: use " + escaped)


def test_the_text_that_does_the_same_does():
    _, why = refusal('0 0 * * * cat; echo "<$(wc -c)>"%Hello, it\'s%%50\\%\n')
    text = why.partition(" use ")[2].replace("\\%", "%")
    done = subprocess.run(["/bin/sh", "-c", text], stdout=subprocess.PIPE, check=True, timeout=30)
    assert done.stdout == b"Hello, it's\n\n50%\n<0>\n" or done.stdout.split() == [b"Hello,", b"it's", b"50%", b"<0>"]


# ---------------------------------------------------------------- names


def test_names_come_from_the_command_and_the_line_and_stay_the_same():
    text = "17 3 * * * /home/me/bin/backup --all > /dev/null\n17 4 * * * /home/me/bin/backup --all > /dev/null\n"
    first, second = [schedule["name"] for schedule in read(text).schedules]
    assert re.match(r"backup-all-dev-null-[0-9a-f]{4}\Z|backup-all-null-[0-9a-f]{4}\Z", first)
    assert first[:-4] == second[:-4] and first != second
    assert [schedule["name"] for schedule in read("# more\n\nA=1\n" + text).schedules] == [first, second]


def test_the_same_line_twice_runs_twice_and_has_two_names():
    found = read("@daily true\n@daily true\n@daily true\n")
    assert len({schedule["name"] for schedule in found.schedules}) == 3 == len(found.lines)


@pytest.mark.parametrize(
    "command, start",
    [
        ("/usr/bin/python3 -m http.server", "python3-m-http-server-"),
        ("cd / && run-parts --report /etc/cron.daily", "cd-run-parts-report-cron-daily-"),
        ("[ -x /usr/sbin/x ] && x", "x-x-x-"),
        ("\u00e9\u4e2d", "job-"),
        ("!!!", "job-"),
        ("x" * 500, "x" * 32 + "-"),
        ("_-_.a", "a-"),
    ],
    ids=lambda text: text[:20],
)
def test_any_command_makes_a_name_that_an_id_can_begin_with(command, start):
    name = one("@daily " + command)["name"]
    assert name[:-4] == start and re.match(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}\Z", name)
    ids.check_id(name + "@20261126T031700Z")


def test_hundreds_of_lines_have_names_of_their_own():
    text = "".join("%d %d * * * true\n" % (minute, hour) for minute in range(60) for hour in range(24))
    found = read(text)
    assert len(found.schedules) == 1440 == len(found.lines) == len({one["name"] for one in found.schedules})


# ---------------------------------------------------------------- calls of this queue


def test_the_lines_that_cron_prints_stay_in_the_crontab():
    words = ["/usr/bin/python3", SCRIPT, "--home", "/home/me/queue"]
    text = cron.crontab(words, 2)
    found = read(text)
    assert found.schedules == [] == found.refused
    kept = [number for number, line in enumerate(text.split("\n"), 1) if line and line[0] != "#"]
    verbs = ["worker", "worker", "check", "prune"]
    end = "it stays in the crontab"
    expected = ["line %d keeps this queue going (%s): %s" % (number, verb, end) for number, verb in zip(kept, verbs)]
    assert found.notes == expected


@pytest.mark.parametrize(
    "command",
    [
        "/home/me/queue/queuectl.py check",
        "/home/me/bin/q worker start --ensure --background --quiet >/dev/null 2>&1",
        "python3 ~/queue/queuectl.py --home ~/queue prune --older-than 30d",
        'python3.11 "$HOME/queue/queuectl.py" check --min-free 1G >> log',
        "cd /home/me/queue && python3 queuectl.py worker",
        "cd ~/queue; /usr/bin/env python3 ./queuectl.py --debug check",
        "python3 -S queue/queuectl.py check",
    ],
)
def test_upkeep_is_known_however_it_is_written(command):
    found = read("*/5 * * * * " + command)
    assert (found.schedules, found.refused, len(found.notes)) == ([], [], 1)
    assert "keeps this queue going" in found.notes[0]


@pytest.mark.parametrize(
    "command",
    [
        "test -e /run/x && python3 /home/me/queue/queuectl.py worker start --drain",
        "flock -n /tmp/l /home/me/bin/q --home /home/me/queue check || true",
        "(python3 ~/queue/queuectl.py prune)",
    ],
)
def test_upkeep_among_other_things_is_refused(command):
    assert refusal("* * * * * " + command) == (
        1,
        "it keeps this queue going, among other things: it stays in the crontab",
    )


@pytest.mark.parametrize(
    "command",
    [
        "python3 /srv/other/queuectl.py worker start --ensure",
        "python3 /home/me/queue/queuectl.py --home /srv/elsewhere check",
        "python3 /home/me/queue/queuectl.py check --home /srv/elsewhere",
        "python3 /home/me/queue/queuectl.py add --home=/srv/elsewhere true",
        "env A=1 python3 /home/me/queue/queuectl.py add true",
        "sudo python3 /home/me/queue/queuectl.py add true",
        "A=1 /home/me/queue/queuectl.py add true",
        "python3 /home/me/queue/queuectl.py add a &> /dev/null",
        "python3 /home/me/queue/queuectl.py status",
        "echo /home/me/queue/queuectl.py check-up",
        "queuectl.py check",
        "cd /home/me/queue && queuectl.py add true",
        "python3 /srv/other/queuectl.py add true",
        "python3 /home/me/queue/queuectl.py --home /srv/elsewhere add true",
        "test -e x && python3 /home/me/queue/queuectl.py add true",
        "python3 /home/me/queue/queuectl.py add $(cat x)",
        "python3 /home/me/queue/queuectl.py add `cat x`",
        "python3 /home/me/queue/queuectl.py add -- ls *.txt",
        'python3 /home/me/queue/queuectl.py add "echo $X"',
        "python3 /home/me/queue/queuectl.py add true | cat",
    ],
)
def test_whatever_is_not_simply_a_call_of_this_queue_stays_a_command(command):
    assert one("@daily " + command)["job"] == {"command": command, "cwd": "/home/me", "max_retries": 0}


def test_a_home_in_the_environment_is_heeded():
    line = "@daily python3 /home/me/queue/queuectl.py add true"
    assert one("QUEUECTL_HOME=/srv/q\n" + line)["job"]["command"].startswith("python3 ")
    assert one("QUEUECTL_HOME=/srv/q\n" + line, queue_home="/srv/q")["job"]["command"] == "true"


@pytest.mark.parametrize(
    "words, job",
    [
        (
            "add --quiet --timeout 2h '/home/me/bin/backup --all'",
            {"command": "/home/me/bin/backup --all", "timeout": "2h"},
        ),
        ('add --quiet --unique mirror "bin/mirror"', {"command": "bin/mirror", "unique": "mirror"}),
        ("add --max-retries=0 --priority -5 true", {"command": "true", "max_retries": 0, "priority": -5}),
        ("add -- rsync -a --delete 'a b' c\\ d", {"command": ["rsync", "-a", "--delete", "a b", "c d"]}),
        ("add --env A=1 --env 'B=x y' true", {"command": "true", "env": {"A": "1", "B": "x y"}}),
        ("add --pipe-output true --umask 022", {"command": "true", "pipe_output": True, "umask": "022"}),
        ("add --home /home/me/queue --debug true", {"command": "true"}),
        ("add --home=queue -- true --home x", {"command": ["true", "--home", "x"]}),
        ("add true2>x", {"command": "true2"}),
        ("add --cwd work true", {"command": "true", "cwd": "/home/me/work"}),
        ("add --cwd ~/x/../y true > /dev/null 2>&1", {"command": "true", "cwd": "/home/me/y"}),
        ("add 'date +\\%F > out'", {"command": "date +%F > out"}),
        ('add "say \\"hi\\" \\$X $HOME a#b"', {"command": 'say "hi" $X /home/me a#b'}),
    ],
)
def test_an_add_of_this_queue_becomes_the_job_itself(words, job):
    """Without the environment of the crontab, which such a job never had, and with the retries of `add`."""
    schedule = one("PATH=/bin\n@daily python3 /home/me/queue/queuectl.py %s" % words)
    assert schedule["job"] == dict({"cwd": "/home/me"}, **job)
    JobMaker(3, "/", None, 0.0).row(schedule["job"])


def test_an_add_behind_cd_runs_there():
    assert one("@daily cd queue && python3 queuectl.py add true")["job"] == {"command": "true", "cwd": "/home/me/queue"}


@pytest.mark.parametrize(
    "words, why",
    [
        ("add --id nightly true", "`add` with --id"),
        ("add --delay 5m true", "`add` with --delay"),
        ("add --run-at 2027-01-01 true", "`add` with --run-at"),
        ("add --nonsense true", "`add` with --nonsense"),
        ("add", "`add` without one command"),
        ("add echo hi", "`add` without one command"),
        ("add --timeout", "`add` with --timeout and nothing behind it"),
        ("add --priority high true", "priority: .* is not a whole number"),
        ("add true --env secret-word", "NAME=VALUE is expected"),
    ],
)
def test_an_add_with_more_to_say_stays_a_command_and_that_is_noted(words, why):
    found = read("@daily python3 /home/me/queue/queuectl.py " + words)
    (note,) = found.notes
    assert re.search("line 1 stays a command that adds a job: .*" + why, note) and "secret" not in note
    assert found.schedules[0]["job"]["command"].startswith("python3 ")


# ---------------------------------------------------------------- the crontab of the system


def test_with_a_user_field_only_ones_own_lines_are_taken():
    text = "17 *\t* * *\troot\tcd / && run-parts /etc\n@daily me\techo 'a  b'\n5 5 * * * root x\n6 6 * * * www y\n"
    found = read(text, is_system=True)
    assert [schedule["job"]["command"] for schedule in found.schedules] == ["echo 'a  b'"]
    assert found.notes == ['lines 1, 3 left out: of the user "root"', 'line 4 left out: of the user "www"']
    assert found.refused == [] and list(found.lines.values()) == [2]


def test_a_user_without_a_command_is_no_schedule():
    found = read("@daily me\n@daily you\n", is_system=True)
    assert found.schedules == []


# ---------------------------------------------------------------- the price of odd text


ODD = (
    "A=" + " " * 200000 + "x",
    "A" * 200000,
    " " * 200000 + "x",
    "* * * * " + " " * 200000,
    "* * * * * " + "a " * 60000,
    "* * * * * a" + " " * 100000 + "b",
    "* * * * * " + "a" * 100000 + " > " * 9,
    "* * * * * " + ">x " * 30000 + "'",
    "* * * * * " + '"' * 100001,
    "* * * * * " + "\\%" * 50000,
    "* * * * * " + "%" * 100000,
    "* * * * * " + "x --home y" * 9000,
    "\n" * 200000,
)


@pytest.mark.parametrize("number", range(len(ODD)))
def test_long_lines_take_no_longer_than_their_length_asks_for(number):
    """A square of it would take minutes."""
    begin = time.process_time()
    read(ODD[number])
    assert time.process_time() - begin < 5
