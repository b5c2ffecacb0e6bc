"""Signatures: which failures fall together, which line of an output tells most, and that no output costs much."""

import time

import pytest

from queuectl_lib.jobs import signatures

# What fell together in the eyes of a person, a group a row: endings of stderr as programs write them.
LIKE = {
    "mysql is not there": [
        "ERROR 2002 (HY000): Can't connect to MySQL server on '10.0.0.1' (110)",
        "ERROR 2002 (HY000): Can't connect to MySQL server on '192.168.4.23' (111)",
    ],
    "mysql has gone away": ["ERROR 2006 (HY000) at line 812: MySQL server has gone away"],
    "a key is missing": [
        'Traceback (most recent call last):\n  File "/srv/a.py", line 3, in <module>\n    x["u"]\n'
        "KeyError: 'user_77'",
        "Traceback (most recent call last):\n  File \"b.py\", line 99, in go\n    y[k]\n    ~^^^\nKeyError: 'user_1'\n",
    ],
    "the disk is full, says Python": [
        "OSError: [Errno 28] No space left on device: '/var/a/2026-11-01/out.csv'",
        "OSError: [Errno 28] No space left on device: '/tmp/out.csv'",
    ],
    "the disk is full, says cp": ["cp: error writing '/mnt/b/x.bin': No space left on device"],
    "gcc": [
        "main.c: In function 'main':\nmain.c:13:5: error: 'x' undeclared (first use in this function)\n"
        "   13 |     x = 1;\n      |     ^",
        "main.c:7:19: error: 'x' undeclared (first use in this function)\n   7 |  return x;\n     |  ^\n"
        "compilation terminated.\nmake: *** [Makefile:4: main.o] Error 1",
    ],
    "a header is missing": [
        "main.c:1:10: fatal error: foo.h: No such file or directory\n    1 | #include <foo.h>\n      |   ^~~~\n"
        "compilation terminated.\nmake[2]: *** [CMakeFiles/x.dir/build.make:76: a.o] Error 1\n"
        "make[1]: *** [all] Error 2\nmake: Leaving directory '/b'"
    ],
    "java has no memory": [
        'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space\n\tat a.B.c(B.java:12)\n\t... 3 more',
        'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space\n\tat x.Y.<init>(Y.java:1)\n',
    ],
    "java got null": ["Caused by: java.lang.NullPointerException: x is null\n\tat a.B.c(B.java:12)\n\t... 31 more"],
    "ssh refused": [
        "ssh: connect to host 10.1.1.1 port 22: Connection refused",
        "ssh: connect to host 10.9.8.7 port 2222: Connection refused",
    ],
    "ssh in vain": ["ssh: connect to host 10.1.1.1 port 22: Connection timed out"],
    "ssh has no key": ["anna@db1.example.com: Permission denied (publickey)."],
    "curl refused": [
        "curl: (7) Failed to connect to api port 443 after 12 ms: Couldn't connect to server",
        "curl: (7) Failed to connect to api port 8443 after 2041 ms: Couldn't connect to server",
    ],
    "curl got 404": ["curl: (22) The requested URL returned error: 404"],
    "rsync, some files": [
        "rsync error: some files/attrs were not transferred (see previous errors) (code 23)"
        " at main.c(%d) [sender=%s]" % where
        for where in ((1338, "3.2.7"), (1865, "3.1.3"))
    ],
    "rsync, no connection": ["rsync: connection unexpectedly closed (0 bytes received so far) [sender]"],
    "npm": [
        "npm ERR! missing script: build\nnpm ERR! \nnpm ERR! A complete log of this run can be found in:\n"
        "npm ERR!     /root/.npm/_logs/2026-11-27T10_00_00_000Z-debug.log",
        "npm ERR! missing script: build\nnpm ERR! A complete log of this run can be found in: "
        "/home/b/.npm/_logs/2026-11-28T01_22_33_123Z-debug-0.log",
    ],
    "a file is not there, says bash": [
        "bash: line 1: /opt/jobs/nightly.sh: No such file or directory",
        "bash: line 12: /srv/nightly.sh: No such file or directory",
    ],
    "killed in a script": [
        "/srv/go.sh: line 3: 12345 Killed                  python3 train.py",
        "/home/x/go.sh: line 3: 777 Killed                  python3 train.py",
    ],
    "a program is missing": ["/bin/sh: 1: mysqldump: not found", "/bin/sh: 22: mysqldump: not found"],
    "slurm": [
        "Segmentation fault (core dumped)\nsrun: error: node17: task 0: Exited with exit code 139\n"
        "slurmstepd: error: *** STEP 123.0 ON node17 CANCELLED ***",
        "Segmentation fault (core dumped)\nsrun: error: node2: task 3: Exited with exit code 139",
    ],
    "psql": [
        'psql: error: connection to server at "db" (10.0.0.5), port 5432 failed: Connection refused\n'
        "\tIs the server running on that host and accepting TCP/IP connections?",
        'psql: error: connection to server at "db" (fe80::1:2), port 6432 failed: Connection refused',
    ],
    "no relation": ['ERROR:  relation "jobs" does not exist\nLINE 1: select * from jobs;\n                      ^'],
    "a url": [
        "fetch https://a.example/x/1?k=2 failed for anna@a.example at 2026-11-27T17:39:06.123Z",
        "fetch http://b.example:8080/ failed for bob.b+c@b.co.uk at 2025-01-01 00:00:00",
    ],
    "an id": [
        "request 123e4567-e89b-12d3-a456-426614174000 of build 7f3a9c2e1b at 0x7ffe12 was refused",
        "request 00000000-0000-0000-0000-000000000001 of build deadbeef00 at 0x1 was refused",
    ],
    "colours": ["\x1b[31;1mFAIL\x1b[0m two tests of \x1b]8;;http://x\x07app\x1b]8;;\x07", "FAIL two tests of app"],
    "numbers": ["took 1 2 3, 4.5 and 6 s", "took 77 and 1 s"],
    "a ruler at the end": ["boom\n----------\n=====\n", "boom\n\n", "boom\nCommand exited with non-zero status 3"],
}


def signature(text):
    return signatures.signature("exit 1", signatures.telling_line(text, None))


@pytest.mark.parametrize("what", LIKE)
def test_failures_that_a_person_would_put_together_have_one_signature(what):
    assert {signature(text) for text in LIKE[what]} == {signature(LIKE[what][0])}, LIKE[what]


def test_failures_that_a_person_would_tell_apart_have_signatures_of_their_own():
    assert len(LIKE) >= 22
    firsts = {what: signature(texts[0]) for what, texts in LIKE.items()}
    assert len(set(firsts.values())) == len(LIKE), sorted(firsts.items(), key=lambda pair: pair[1])


def test_the_same_line_with_another_verdict_is_another_group():
    verdicts = ["exit 1", "exit 2", "signal KILL", "timed out", "lost", "cannot start"]
    assert len({signatures.signature(verdict, "boom") for verdict in verdicts}) == 6
    assert len(signatures.signature("exit 1", "boom")) == 10


NORMAL = [
    ("KeyError: 'user_77'", "KeyError: 'user_<n>'"),
    ("at main.c(1338) [sender=3.2.7]", "at main.c(<n>) [sender=<n>]"),
    ("on '10.2.3.4' (110)", "on '<ip>' (<n>)"),
    ("[::1]:80 and ::1", "[<ip>]:<n> and <ip>"),
    ("std::vector<int> a::b", "std::vector<int> a::b"),
    ("/usr/lib/x/y.so: bad", "<path>/y.so: bad"),
    ("./run.sh ../a/b ~/c", "<path>/run.sh <path>/b <path>/c"),
    (r"C:\Users\bob\x.txt: no", "<path>/x.txt: no"),
    ("src/app/main.c:3", "<path>/main.c:<n>"),
    ("I/O error, and/or n/a", "I/O error, and/or n/a"),
    ("deadbeef facade 1234567", "deadbeef facade <n>"),  # a word, and a number, are no hex
    ("a1b2c3d4e5", "<hex>"),
    ("Nov 27 17:39:06 and 12:00:01.5 PM", "<time> and <time>"),
    ("1920x1080", "<n>"),
    ("1 2 3 4", "<n>"),
    ("  a \t b  ", "a b"),
    ("x" * 5000, "x" * 200),
    ("", ""),
]


@pytest.mark.parametrize("line, normal", NORMAL)
def test_what_varies_is_a_mark_and_the_rest_stays(line, normal):
    assert signatures.normal(line) == normal


def test_the_line_comes_of_stderr_else_of_stdout_else_of_the_queue():
    assert signatures.telling_line(b"a\nb\n", b"c", "d") == "b"
    assert signatures.telling_line(b"\n---\nmake: *** [x] Error 2\n", b"c\n", "d") == "c"
    assert signatures.telling_line(b"", None, "d") == "d"
    assert signatures.telling_line("Killed\n", "", "d") == "d"
    assert signatures.telling_line(None, None, None) == ""
    assert signatures.telling_line(12, ["x"], "d") == "d", "what somebody has written there"
    assert signatures.telling_line(b"caf\xe9\xff", None) == "caf\ufffd\ufffd"
    assert signatures.telling_line(b"old\n" + b"x" * 9000, None) == "x" * 1000, "no more than the end is looked at"


def test_how_it_ended_is_said_in_few_words():
    assert signatures.verdict("failed", 7, None) == "exit 7"
    assert signatures.verdict("failed", 137, "SIGKILL") == "signal KILL"
    assert signatures.verdict("failed", None, None) == "cannot start"
    assert signatures.verdict("timed out", 143, "SIGTERM") == "timed out"
    assert signatures.verdict("lost", None, None) == "lost"
    assert signatures.verdict("?", b"\xff", 3) == "exit b'\\xff'", "what somebody has written there"


def test_what_people_see_of_a_group_names_no_end_twice():
    assert signatures.sign("exit 2", "boom <n>", "exit code 2").text == "exit 2: boom <n>"
    assert signatures.sign("exit 2", "", "exit code 2").text == "exit 2"
    assert signatures.sign("timed out", None, "timed out after 3 s").text == "timed out"
    assert signatures.sign("cannot start", None, "the program x was not found").text == (
        "cannot start: the program x was not found"
    )
    assert signatures.sign("lost", None, "lost: the host was restarted").text == "lost: the host was restarted"
    assert signatures.sign("exit 2", "boom", None, "db-down").text == "said: db-down"
    same = {signatures.sign(verdict, line, "x", "db-down").signature for verdict in ("exit 1", "lost") for line in "ab"}
    assert len(same) == 1, "what the job says decides alone"


MEGABYTE = 1000000
HOSTILE = {
    "letters": "a" * MEGABYTE,
    "slashes": "/" * MEGABYTE,
    "a path": "a/" * (MEGABYTE // 2),
    "a path with dots": "../a." * (MEGABYTE // 5),
    "a mail": "a@" + "a.a-" * (MEGABYTE // 4),
    "mails": "a@a." * (MEGABYTE // 4),
    "hex": "f0" * (MEGABYTE // 2),
    "colons": "1:" * (MEGABYTE // 2),
    "an address": "1." * (MEGABYTE // 2),
    "urls": "a://" * (MEGABYTE // 4),
    "escapes": "\x1b[" * (MEGABYTE // 2),
    "an escape": "\x1b]" + "x" * MEGABYTE,
    "times": "1234-12-12" * (MEGABYTE // 10),
    "backslashes": "\\a" * (MEGABYTE // 2),
    "blanks": " " * MEGABYTE,
    "empty lines": "\n" * MEGABYTE,
    "half a trailer": "npm ERR! " * (MEGABYTE // 9),
    "half of java": "   at a.b" * (MEGABYTE // 9),
    "marks": "<n> " * (MEGABYTE // 4),
}
ORDINARY = ("the quick brown fox of /var/lib/x jumps at 10.0.0.1 over 17 lazy dogs, " * 14)[:1000]


def seconds(work):
    best = 9.0
    for _ in range(5):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_output_costs_little_more_than_an_ordinary_line_of_its_length(what):
    """A ratio, for the host may be slow: a pattern that goes back over words costs thousands of times as much."""

    def work(text):
        signatures.normal(signatures.telling_line(text, None))
        signatures.normal(text)

    work(ORDINARY)
    assert seconds(lambda: work(HOSTILE[what])) < 40 * seconds(lambda: work(ORDINARY))
