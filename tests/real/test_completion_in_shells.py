"""Completion in the real zsh and fish, and in a bash at a terminal."""

import os
import select
import shutil
import signal
import subprocess
import time

import pytest
from helpers import shells

import queuectl

ROWS = {
    "queuectl can": "cancel",
    "queuectl queue sh": "show",
    "queuectl cancel job-": "job-1",
    "queuectl cancel --quie": "--quiet",
    "queuectl list --state pend": "pending",
    "queuectl config set max_r": "max_retries",
    "queuectl prune --state=dead,comp": "--state=dead,completed",
    "queuectl completion fi": "fish",
    "queuectl add --after job-1,ot": "job-1,other",
}


def needs(shell):
    return pytest.mark.skipif(not shutil.which(shell), reason=shell)


@pytest.fixture
def script(tmp_path):
    """The path of the script of a shell, for a home with jobs."""
    home = str(tmp_path / "home")
    os.mkdir(home, 0o700)
    for identifier in ("job-1", "gone", "other"):
        assert queuectl.main(["--home", home, "add", "--quiet", "true", "--id", identifier]) == 0
    assert queuectl.main(["--home", home, "cancel", "--quiet", "gone"]) == 0
    folder = shells.installed(tmp_path, shells.AWKWARD)
    return lambda shell: shells.script(folder, shell, "--home", home)


class Terminal:
    """A shell at a terminal, to which lines are typed."""

    def __init__(self, *words):
        import pty  # which is not there on Windows

        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="dumb", COLUMNS="400")
            os.execvp(words[0], words)

    def until(self, text, seconds=30.0):
        """All that it says until *text* has come."""
        said, deadline = b"", time.monotonic() + seconds
        while text not in said:
            assert time.monotonic() < deadline, "waited for %r: %r" % (text, said)
            if select.select([self.fd], [], [], 0.1)[0]:
                said += os.read(self.fd, 65536)
        return said

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


STARTS = {
    "zsh": "PS1='> '; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -D -u; source %s; echo be''gun\n",
    "bash": "PS1='> '; bind 'set enable-bracketed-paste off'; source %s; echo be''gun\n",
}


@pytest.mark.parametrize("shell", [pytest.param("zsh", marks=needs("zsh")), pytest.param("bash", marks=needs("bash"))])
def test_a_tab_at_a_terminal_completes_the_word(script, shell):
    words = {"zsh": ["zsh", "-f", "-i"], "bash": ["bash", "--norc", "--noprofile", "-i"]}[shell]
    terminal = Terminal(*words)
    try:
        terminal.type(STARTS[shell] % script(shell))
        terminal.until(b"begun\r\n")
        for line, whole in ROWS.items():
            terminal.type(line + "\t")
            terminal.until((line.rpartition(" ")[0] + " " + whole).encode())
            terminal.type("\x15")  # the line away
    finally:
        terminal.end()


@needs("fish")
def test_fish_proposes_what_fits(script):
    found = shells.proposed("fish", script("fish"), list(ROWS))
    assert dict(zip(ROWS, map(" ".join, found))) == ROWS


@pytest.mark.parametrize("shell", [pytest.param("zsh", marks=needs("zsh")), pytest.param("fish", marks=needs("fish"))])
def test_the_function_calls_this_very_file_wherever_it_lies(script, shell):
    flags = {"zsh": ["-f"], "fish": ["--no-config"]}[shell]
    path = script(shell)
    done = subprocess.run(
        [shell, *flags, "-c", "source %s; queuectl show other --json" % path], stdout=subprocess.PIPE, timeout=60
    )
    assert done.returncode == 0 and b'"id": "other"' in done.stdout
    if shell == "zsh":
        line = "setopt rc_quotes ksh_arrays; source %s; queuectl --version" % path
        done = subprocess.run([shell, *flags, "-c", line], stdout=subprocess.PIPE, timeout=60)
        assert done.stdout.startswith(b"queuectl ")
