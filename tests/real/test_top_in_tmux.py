"""`top` in a real terminal, tmux: what a person sees, keys, other sizes, and the screen of the shell afterwards."""

import os
import shutil
import signal
import subprocess
import uuid

import pytest
from helpers.waiting import wait_until

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="no tmux here")


class Pane:
    """One pane of a tmux of its own, in which a shell is."""

    def __init__(self, home, columns, lines):
        self.server = "queuectl-%s" % uuid.uuid4().hex[:8]
        self.home = home
        shell = ["env", "PS1=shell> ", "/bin/sh"]
        size = ["-x", str(columns), "-y", str(lines)]
        self.tmux("-f", os.devnull, "new-session", "-d", "-s", "test", *size, *shell)

    def tmux(self, *words):
        command = ["tmux", "-L", self.server, *words]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.home.environment(), timeout=60
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def type(self, *keys):
        self.tmux("send-keys", "-t", "test", *keys)

    def enter(self, *words):
        line = " ".join(["'%s'" % word for word in words])
        self.tmux("send-keys", "-t", "test", "-l", line)
        self.type("Enter")

    def shown(self, *options):
        return self.tmux("capture-pane", "-p", "-t", "test", *options)

    def until(self, *texts, without=()):
        def fits():
            shown = self.shown()
            return all(text in shown for text in texts) and not any(text in shown for text in without)

        wait_until(fits, "%r in the pane, which shows\n%s" % (texts, self.shown()))

    def state(self, name):
        return self.tmux("display-message", "-p", "-t", "test", "#{%s}" % name).strip()

    def pid(self):
        """Of the one process that the shell has started."""
        words = ["pgrep", "-P", self.state("pane_pid")]
        [found] = subprocess.run(words, stdout=subprocess.PIPE, timeout=60).stdout.split()
        return int(found)

    def is_the_shells(self):
        """True where the screen, the cursor and the keys are as a shell has them."""
        return self.state("alternate_on") == "0" and self.state("cursor_flag") == "1" and self.state("wrap_flag") == "1"

    def close(self):
        subprocess.run(["tmux", "-L", self.server, "kill-server"], stderr=subprocess.DEVNULL, timeout=60)


@pytest.fixture
def home(near):
    near.run("add", "echo cannot open it >&2; exit 3", "--id", "bad", "--max-retries", "0")
    near.run("add", "echo words; while [ ! -e go ]; do sleep 0.05; done", "--id", "runs", "--cwd", near.path)
    near.start()
    near.wait_for_state("bad", "dead")
    near.wait_for_state("runs", "processing")
    near.run("add", "echo 日本語 wide", "--id", "later", "--delay", "1h")
    return near


@pytest.fixture
def pane(home):
    found = Pane(home, 80, 24)
    yield found
    found.close()


def top(pane, *words):
    pane.until("shell>")
    pane.enter(*pane.home.command("top", "--interval", "0.2", *words))
    pane.until("RUNNING", "runs", "later")


def test_all_of_it_is_seen_and_the_shell_is_as_it_was_after_q(pane):
    top(pane)
    pane.until("1 running", "FAILED", "exit 3: cannot open it", "NEXT", "日本語 wide", "ENDED", "words")
    assert pane.state("alternate_on") == "1" and pane.state("cursor_flag") == "0"
    pane.type("q")
    pane.until("shell>", without=["RUNNING"])
    assert pane.is_the_shells()
    pane.type("echo said", "Enter")
    pane.until("echo said\nsaid")  # and keys are shown again


@pytest.mark.parametrize("columns, lines", [(40, 10), (60, 24), (140, 50)])
def test_another_size_is_filled_and_nothing_wraps(pane, columns, lines):
    top(pane)
    pane.tmux("resize-window", "-t", "test", "-x", str(columns), "-y", str(lines))

    def is_filled():
        shown = pane.shown().split("\n")[:lines]
        ends = len(shown) == lines and "q ends" in shown[-1] and "queuectl.db" in shown[0]
        return ends and "RUNNING" in "".join(shown)

    wait_until(is_filled, "a screen of %d times %d" % (columns, lines))


def test_keys_and_a_log_that_is_followed(pane):
    top(pane)
    pane.type("Down")
    pane.until("> runs")
    pane.type("l")
    pane.until("==> logs runs", "words", without=["RUNNING"])
    assert pane.is_the_shells()
    pane.type("C-c")
    pane.until("any key: back to top")
    pane.type("x")
    pane.until("> runs", "RUNNING")
    pane.type("c")
    pane.until("cancel runs? y/n")
    pane.type("y")
    pane.home.wait_for_state("runs", "cancelled")
    pane.until("0 running", "1 cancelled")
    pane.type("/", "b", "a", "d", "Enter")
    pane.until('only "bad"', without=["later"])
    pane.type("Escape")
    pane.until("later")


def test_a_signal_gives_the_screen_back(pane):
    top(pane)
    os.kill(pane.pid(), signal.SIGTERM)
    pane.until("shell>", "Terminated", without=["RUNNING"])
    assert pane.is_the_shells()


def test_ctrl_z_and_fg(pane):
    top(pane)
    for _ in range(2):
        pane.type("C-z")
        pane.until("shell>", "Stopped", without=["RUNNING"])
        assert pane.is_the_shells()
        pane.type("fg", "Enter")
        pane.until("RUNNING", "runs", "later")
    pane.type("q")
    pane.until("shell>", without=["RUNNING"])
    assert pane.is_the_shells()


def test_one_that_was_killed_is_put_right_as_the_help_says(pane):
    top(pane)
    os.kill(pane.pid(), signal.SIGKILL)
    pane.until("Killed")
    pane.type("C-j", "tput rmcup; reset", "C-j")
    wait_until(pane.is_the_shells, "the terminal to be as a shell has it")
