"""What kind of job it is: its name, or its command without what differs from one to the next."""

import subprocess
import sys
import time
import timeit

import pytest
from helpers.bundle import ROOT

from queuectl_lib.jobs import kinds

LINES = [
    ("true", "true"),
    ("exit 3", "exit <n>"),
    ("sleep 0.5", "sleep <n>"),
    ("sleep 3 &", "sleep <n>"),
    ("python3 train.py --lr 0.1 a.csv", "python3 train.py --lr <n> <path>"),
    ("python3 train.py --lr 0.25 b.csv", "python3 train.py --lr <n> <path>"),
    ("python3 /srv/a/train.py --model resnet --seed 4", "python3 train.py --model <value> --seed <n>"),
    ("python3 train.py --model=vgg --seed=12", "python3 train.py --model=<value> --seed=<value>"),
    ("VAR=1 python3.11 x.py", "python3.11 x.py"),
    ("python3 -u -m http.server 8000", "python3 -u -m http.server <n>"),
    ("python3 -W error x.py", "python3 -W <value> x.py"),
    ("python3 -c 'import os; print(1)'", "python3 -c <text>"),
    ("perl -e 'print 1' x", "perl -e <text> x"),
    ("java -Xmx4g -jar /opt/app-1234.jar in.xml", "java -Xmx<n>g -jar app-1234.jar <path>"),
    ("java -cp lib.jar:x.jar com.example.Main 17", "java -cp <value> com.example.Main <n>"),
    ("node /srv/app/index.js --port 80", "node index.js --port <n>"),
    ("Rscript fit.R 3 out.rds", "Rscript fit.R <n> <path>"),
    ("bash /opt/run_0017.sh x", "bash run_<n>.sh x"),
    ("./chunk_0017.sh", "chunk_<n>.sh"),
    ("bash -lc '/opt/job.sh 17'", "job.sh <n>"),
    ("sh -c 'echo hi; sleep 3'", "echo hi ; sleep <n>"),
    ("make -j8 -C /src all", "make -j<n> -C <path> all"),
    ("make CC=gcc-12 test", "make CC=<value> test"),
    ("rsync -a --delete /src/ host:/dst/", "rsync -a --delete <path>"),
    ("ssh root@db1.example.com 'uptime; df -h'", "ssh <mail> <text>"),
    ("scp a.csv b.csv host:/in", "scp <path>"),
    ("find /var/log -name '*.gz' -mtime +7 -delete", "find <path> -name <path> -mtime <n> -delete"),
    ("curl -s https://x.org/z?id=3", "curl -s <url>"),
    ("mail -s 'all is well' a@b.org", "mail -s <text> <mail>"),
    ("ping -c 3 10.0.0.17", "ping -c <n>"),
    ("git show 3fa2b1c4d5e6", "git show <id>"),
    ("git log --oneline", "git log --oneline"),
    ("backup.sh 2026-11-27T10:00:00Z", "backup.sh <n>"),
    ("rm 3d0c7a52-94a1-4f5e-8a3e-5d7a4cf2c1aa", "rm <id>"),
    ("md5sum x.iso", "md5sum <path>"),
    ("ffmpeg -i in.mp4 -c:v libx264 out.mp4", "ffmpeg -i <path> -c:v libx<n> <path>"),
    ("cp a.csv b.csv c.csv /x", "cp <path>"),
    ("env A=b C=d /opt/prog 17", "prog <n>"),
    ("env -u HOME -i prog", "prog"),
    ("A=b C=d prog x", "prog x"),
    ("sudo -u www nohup nice -n 5 /opt/x 17", "x <n>"),
    ("timeout -k 5 30 curl https://x.y", "curl <url>"),
    ("flock -w 3 /tmp/l prog", "prog"),
    ("exec prog", "prog"),
    ("nohup", "nohup"),
    ("A=b", "A=<value>"),
    ("echo hello > /tmp/x 2>&1", "echo hello"),
    ("prog <in.csv >>out.log 2>/dev/null", "prog"),
    ("prog 2>&1 >out", "prog"),
    ("mysqldump db1 | gzip -9 > /b/db-2026-11-27.sql.gz", "mysqldump db<n> | gzip <n>"),
    ("cd /srv/app && ./run.sh 3", "cd <path> && run.sh <n>"),
    ("for i in 1 2 3; do echo $i; done", "for i in <n> ; do echo $i ; done"),
    ("test -f x && y || z", "test -f x && y || z"),
    ("a\nb", "a ; b"),
    ("true;", "true"),
    ("C:\\Python\\python.exe C:\\x.py --n 3", "python.exe x.py --n <n>"),
    ('echo "it\'s"', "echo its"),
    ("prog 'unclosed 1", "prog <text>"),
    ("", "<text>"),
    ("  \n ", "<text>"),
    ("\\", "<text>"),
    ("'", "<text>"),
]


@pytest.mark.parametrize("line, kind", LINES)
def test_a_line_for_the_shell_is_of_the_kind(line, kind):
    assert kinds.of(None, line) == kind


@pytest.mark.parametrize(
    "words, kind",
    [
        (["prog", "a b", "x.csv", "-n", "3"], "prog <text> <path> -n <n>"),
        (["/usr/bin/python3", "-S", "/srv/x.py", "; rm"], "python3 -S x.py <text>"),
        (["sh", "-c", "sleep 3"], "sleep <n>"),
        (["echo", "|"], "echo |"),
        (["x", ""], "x <text>"),
        (["x", "\ud800"], "x \\ud800"),
        ([1, None], "1 None"),
        ([], "<text>"),
        (None, "<text>"),
        (b"x", "<text>"),
    ],
)
def test_a_list_is_of_the_kind(words, kind):
    assert kinds.of(None, words) == kind
    kind.encode("utf-8")


def test_a_name_goes_before_the_command():
    assert kinds.of("nightly", "python3 x.py") == "nightly"
    assert kinds.of("x" * 500, "true") == "x" * kinds.MOST
    assert kinds.of(b"x", "true") == kinds.of("", "true") == "true", "what is no name is none"


HOSTILE = [
    "'",
    "\\",
    "(",
    "a",
    "--a ",
    "1",
    "\"'",
    "a;",
    "sh -c ",
    "\n",
    "env ",
    "sudo -u ",
    ">",
    "\u202e",
    "=",
    "-",
    "a=",
    ".",
]


@pytest.mark.parametrize("part", HOSTILE)
def test_hostile_text_costs_no_more_than_its_beginning(part):
    text = part * (100000 // len(part))
    began = time.perf_counter()
    kind = kinds.of(None, text)
    assert time.perf_counter() - began < 0.1, "it is looked at as far as a few hundred characters"
    assert len(kind) <= kinds.MOST
    assert kind == kinds.of(None, text[: kinds.LOOKED_AT])
    assert len(kinds.of(None, [text] * 1000)) <= kinds.MOST


def test_what_comes_of_a_kind_is_stable():
    """What stats prints can be given to stats."""
    assert kinds.of("python3 x.py <n>", "anything") == "python3 x.py <n>"


def test_an_ordinary_command_costs_microseconds():
    line = "rsync -a --delete --exclude tmp /srv/data host:/backup/x --bwlimit 500 -v"
    best = min(timeit.repeat(lambda: kinds.of_text.__wrapped__(line), number=200, repeat=5)) / 200
    assert best < 0.0002, "some 10 microseconds, on a machine that is not busy"


def test_no_pattern_is_compiled_before_a_line_needs_one():
    """An idle worker has the room, and nothing else of it."""
    script = "import sys, re; sys.path.insert(0, sys.argv[1]); from queuectl_lib.jobs import kinds; print([v for v in"
    script += " vars(kinds).values() if isinstance(v, re.Pattern)])"
    done = subprocess.run([sys.executable, "-S", "-c", script, ROOT], stdout=subprocess.PIPE, check=True, timeout=60)
    assert done.stdout.decode().strip() == "[]"
