"""Processes: whether they live, ending them, and starting many at once."""

import glob
import os
import shutil
import signal
import subprocess
import sys

from helpers.bundle import ROOT
from helpers.marks import WINDOWS

# Without the site module: the product needs nothing from it, and packages that hook into it can take most of a call.
PYTHON = [sys.executable, "-S"]


def is_running(pid):
    """True while *pid* lives (a zombie, which only waits to be reaped, does not)."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], stdout=subprocess.PIPE).stdout.strip()
    return bool(state) and not state.startswith(b"Z")


def end_process(pid):
    try:
        os.kill(pid, signal.SIGTERM if WINDOWS else signal.SIGKILL)
    except OSError:
        pass


def all_at_once(script, count, *arguments):
    """Start *count* Pythons on *script*, wait until all have said "ready", and let them go at once."""
    words = PYTHON + ["-c", script, ROOT] + [str(argument) for argument in arguments]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe) for _ in range(count)]
    try:
        assert [process.stdout.readline().strip() for process in started] == [b"ready"] * count
        for process in started:
            process.stdin.write(b"go\n")
            process.stdin.flush()
        ended = [process.communicate(timeout=60) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    return [(process.returncode, out.decode().strip(), err.decode()) for process, (out, err) in zip(started, ended)]


def runnable(version, code=""):
    """The path of another Python that can run *code* here, from PATH or pyenv's folder, or None."""
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    kept = glob.glob(os.path.join(pyenv, "versions", version + ".*", "bin", "python" + version))
    for path in [shutil.which("python" + version)] + kept:
        if path and not subprocess.run([path, "-c", code], stderr=subprocess.DEVNULL).returncode:
            return path
    return None
