"""The log: a reader that does not read, or a stopped terminal, stops no work; what was not written is told later."""

import os
import re
import select
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest
from helpers.home import let_go
from helpers.waiting import wait_until

from queuectl_lib.host import files, stream
from queuectl_lib.run import log
from queuectl_lib.store import looking, roster

pty = pytest.importorskip("pty", reason="terminals of POSIX")


class Stream:
    """What a supervisor writes to: *write* is its end, *read* ours."""

    def __init__(self, kind, tmp_path):
        if kind == "fifo":
            path = str(tmp_path / "fifo")
            os.mkfifo(path)
            self.read = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            self.write = os.open(path, os.O_WRONLY)
        elif kind == "pipe":
            self.read, self.write = os.pipe()
        elif kind == "terminal":
            self.read, self.write = pty.openpty()
        else:  # as systemd gives to what logs to the journal
            ours, theirs = socket.socketpair()
            self.read, self.write = ours.detach(), theirs.detach()
        os.set_blocking(self.read, False)
        self.kind = kind
        self.got = b""

    def stop(self):
        """From here on nothing can be written."""
        if self.kind == "terminal":
            os.write(self.read, b"\x13")
            wait_until(lambda: not select.select([], [self.write], [], 0)[1], "Ctrl+S to be heard")
            return
        os.set_blocking(self.write, False)
        for size in (4096, 1):
            try:
                while True:
                    os.write(self.write, b"x" * size)
            except BlockingIOError:
                pass
        os.set_blocking(self.write, True)

    def go_on(self):
        if self.kind == "terminal":
            os.write(self.read, b"\x11")

    def text(self):
        """All that was read so far."""
        try:
            while True:
                part = os.read(self.read, 65536)
                if not part:
                    break
                self.got += part
        except OSError:  # nothing now, or (a terminal) nobody any more
            pass
        return self.got.decode().replace("\r\n", "\n")

    def close(self):
        for fd in (self.read, self.write):
            os.close(fd)


@pytest.fixture(params=["fifo", "pipe", "terminal", "socket"])
def way(request, tmp_path):
    found = Stream(request.param, tmp_path)
    yield found
    found.close()


def start_on(home, way, *words):
    process = subprocess.Popen(
        home.command("worker", "start", *words),
        stdin=subprocess.DEVNULL,
        stdout=way.write,
        stderr=way.write,
        env=home.environment(),
    )
    home.started.append(process)
    return process


def test_work_goes_on_where_nobody_reads_the_log_and_what_was_not_written_is_told_later(home, way):
    process = start_on(home, way, "--count", "2")
    wait_until(lambda: way.text().count("worker started") == 2, "the workers")
    way.stop()
    assert os.get_blocking(way.write), "the stream that we share with others is as it was"
    jobs = [home.add("true") for _ in range(4)]
    home.run("wait", "--timeout", "20", *jobs)
    way.go_on()
    told = r"(\d+) lines? could not be written here"
    home.add("true", "--id", "later")
    wait_until(lambda: "job later completed" in way.text(), "the log to go on")

    def accounted_for():
        return sum(map(int, re.findall(told, way.text()))) + way.text().count(": job ")

    wait_until(lambda: accounted_for() == 10, "every line to be written or counted")
    assert all(line == "" or re.match(r"x+$|x*\d{4}-", line) for line in way.text().splitlines()), "whole lines"
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: way.text() and process.poll() is not None, "the supervisor to leave")
    assert process.returncode == 0


def test_a_stop_works_and_tells_the_truth_where_nobody_reads_the_log(home, way):
    home.run("config", "set", "grace", "0.5")
    process = start_on(home, way)
    wait_until(lambda: "worker started" in way.text(), "the worker")
    way.stop()
    job = home.add("while [ ! -e go ]; do sleep 0.05; done", "--cwd", home.path)
    home.wait_for_state(job, "processing")
    began = time.monotonic()
    said = home.run("worker", "stop", "--timeout", "1").stderr
    assert said == "running jobs did not finish in time: ending them\nstopped\n"
    assert time.monotonic() - began < 10
    assert process.wait(10) == 0
    assert home.state(job) == "pending"
    let_go(home)
    assert looking.counts(home.queue.database)["dead"] == 0


def test_a_supervisor_that_fails_ends_where_nobody_reads_why(home, way):
    way.stop()
    with open(os.path.join(home.path, "config.json"), "w") as file:
        file.write("broken")
    reader = threading.Thread(target=lambda: (time.sleep(1), way.go_on(), way.text()))
    reader.start()
    process = start_on(home, way)
    try:
        assert process.wait(20) == 3
    finally:
        reader.join()


def test_a_stop_keeps_its_deadline_where_nobody_reads_what_it_says(home, way):
    home.run("config", "set", "grace", "0.5")
    home.run("worker", "start", "--background")
    job = home.add("sleep 60")
    home.wait_for_state(job, "processing")
    way.stop()
    words = home.command("worker", "stop", "--timeout", "1")
    stop = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=way.write, stderr=way.write)
    try:
        wait_until(lambda: home.state(job) == "pending", "the job to be ended and given back")
        way.go_on()
        wait_until(lambda: way.text() and stop.poll() is not None, "the stop to return once it is read")
        assert stop.returncode == 0
    finally:
        stop.kill()
        stop.wait()


IN_THE_BACKGROUND = """
import fcntl, os, sys, termios
modes = termios.tcgetattr(2)
modes[3] |= termios.TOSTOP
termios.tcsetattr(2, termios.TCSANOW, modes)
os.setsid()
fcntl.ioctl(2, termios.TIOCSCTTY, 0)
pid = os.fork()
if pid:  # the leader stays in front
    os._exit(os.waitpid(pid, 0)[1] >> 8)
os.setpgid(0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_workers_in_the_background_of_a_terminal_with_tostop_work(home):
    """There a write from the background stops the whole process group, where SIGTTOU is not ignored."""
    master, slave = pty.openpty()
    words = home.python + ["-c", IN_THE_BACKGROUND] + home.command("worker", "start")
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, env=home.environment())
    home.started.append(process)
    try:
        home.wait_for_state(home.add("true"), "completed")
    finally:
        os.close(master)
        os.close(slave)
        process.kill()


# ---------------------------------------------------------------- the log of workers in the background


NO_FILE = {
    "a pipe": lambda path: os.mkfifo(path),
    "a pipe that somebody reads": lambda path: os.mkfifo(path),
    "a folder": os.mkdir,
    "a link": lambda path: os.symlink(os.path.join(os.path.dirname(path), "elsewhere"), path),
    "a link to a device": lambda path: os.symlink("/dev/null", path),
    "a device": lambda path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3)),
    "a socket": lambda path: socket.socket(socket.AF_UNIX).bind(path),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("kind", NO_FILE)
def test_a_log_that_is_no_file_is_told_at_once_and_nothing_is_started_or_written(home, kind):
    home.run("initdb")
    path = os.path.relpath(home.db + ".d/worker.log")  # the name of a socket must be short
    try:
        NO_FILE[kind](path)
    except OSError as error:
        pytest.skip("cannot make one here: %s" % error)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if kind.endswith("reads") else None
    before = os.lstat(path)
    words = home.command("worker", "start", "--background")
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=20)
    after, alive = os.lstat(path), roster.members(home.queue.folder)
    os.rename(path, os.path.join(home.path, "no-log"))  # else who looks for complaints would wait for it
    said = done.stderr.decode()
    assert ("Is a directory" if kind == "a folder" else "it is no regular file") in said
    assert (done.returncode, alive) == (3, []) and "(%s.d/worker.log)" % home.db in said
    assert os.path.samestat(before, after) and not os.path.exists(home.db + ".d/elsewhere")
    if reader is not None:
        os.close(reader)


def test_an_older_log_that_is_a_link_is_replaced_and_not_followed(tmp_path, monkeypatch):
    path, victim = str(tmp_path / "worker.log"), tmp_path / "victim"
    victim.write_text("precious")
    os.symlink(str(victim), path + ".1")
    monkeypatch.setattr(log, "LOG_BYTES", 10)
    fd, kept = files.open_appending(path), os.dup(2)
    os.write(fd, b"more than ten bytes")
    os.dup2(fd, 2)
    try:
        log.trim_log(path)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(fd)
    assert victim.read_text() == "precious" and os.path.getsize(path) == 0
    with open(path + ".1") as file:
        assert (os.path.islink(path + ".1"), file.read()) == (False, "more than ten bytes")


# ---------------------------------------------------------------- one line


@pytest.fixture
def taken(monkeypatch):
    """What was written, and how many bytes may be: None for as many as there are."""
    found = {"bytes": b"", "room": None}

    def write(data):
        room = len(data) if found["room"] is None else min(len(data), found["room"])
        if not room and data:
            raise BlockingIOError
        found["bytes"] += data[:room]
        return room

    monkeypatch.setattr(stream, "write", write)
    monkeypatch.setattr(log.Unwritten, "rest", b"")
    monkeypatch.setattr(log.Unwritten, "lines", 0)
    return found


def test_lines_that_find_no_room_are_counted_and_told_by_the_next_that_does(taken):
    log.say("w-1", "first")
    taken["room"] = 0
    for _ in range(3):
        log.say("w-1", "lost")
    taken["room"] = None
    log.say("w-1", "last")
    said = [line.split(": ", 1)[1] for line in taken["bytes"].decode().splitlines()]
    assert said == ["first", "3 lines could not be written here: nobody read, or there was no room", "last"]


def test_a_line_that_was_written_in_part_is_finished_before_another_begins(taken):
    taken["room"] = 5
    log.say("w-1", "in parts")
    log.say("w-1", "lost")
    taken["room"] = None
    log.say("w-1", "last")
    said = [line.split(": ", 1)[1] for line in taken["bytes"].decode().splitlines()]
    assert said == ["in parts", "1 line could not be written here: nobody read, or there was no room", "last"]


def test_a_line_is_no_longer_than_a_pipe_takes_at_once(taken):
    log.say("w-1", "\u00e4" * 10000)
    assert len(taken["bytes"]) in range(log.LINE_BYTES - 8, log.LINE_BYTES + 1)
    assert taken["bytes"].decode().endswith("\u00e4...\n")
