"""Starting the command of a job: its environment, its watcher, and whose fault it is when that fails."""

from __future__ import annotations

import errno
import functools
import os
import re

from queuectl_lib.host import spawn, system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Sequence

    from queuectl_lib.host.spawn import ChildProcess
    from queuectl_lib.jobs.attempts import Claim

SHELL = "/bin/sh"
# The watcher. Its stdin is the lock of the run file, open for reading: moved to 9, where the
# command's tree inherits it (redirected anew for the command, for shells that close 3 to 9).
# Its notes go to the same file by 3, which nothing of the command inherits. "pid" is the last
# thing before the command begins, and without it the command does not begin: so where that
# line is missing it never did, whatever the host was short of. The watcher outlives the signals
# that end the command, and keeps the shell's own "Killed" out of the job's output.
# EVALUATE runs text in a fork of the watcher, which saves loading a second shell (a third
# of the cost of a short job); EVALUATE_INSIDE in the watcher itself, which saves the fork
# too, for text that is one builtin that only writes and returns (ONE_BUILTIN). Text that
# may ask for its own pid gets a shell of its own, and so does every text where sh is of the
# ksh or zsh kind: these do not fork there, or keep descriptor 9 from what they start.
WATCHER = """exec 9<&0 8>&2 </dev/null 2>/dev/null
trap : HUP INT QUIT TERM USR1 USR2 ALRM
umask "$1"; shift
%s
queuectl_code=$?
echo "exit $queuectl_code" >&3
exit "$queuectl_code"
"""
NEEDS_OWN_SHELL = re.compile(r"\$\$|PPID|\{\$\}|(?:^|[\s;&|({])(?:\.|source)\s")
ONE_BUILTIN = re.compile(r"\s*(?:true|false|echo|test)(?:[ \t]+(?:[\w./:,=@%+-]+|'[^'\\$`\[]*'))*\s*\Z")
EXECUTE = WATCHER % '(echo "pid $$" >&3 && exec "$@" 9<&9 2>&8 8>&- 3>&-)'
EVALUATE = (
    WATCHER
    % """if [ -z "${KSH_VERSION-}${YASH_VERSION-}${ZSH_VERSION-}" ]
then (echo "pid $$" >&3 || exit; exec 3>&-; eval "set --; $1") 9<&9 2>&8 8>&-
else (echo "pid $$" >&3 && exec "$0" -c " $1" 9<&9 2>&8 8>&- 3>&-)
fi"""
)
EVALUATE_INSIDE = EVALUATE.replace(
    '(echo "pid $$" >&3 || exit; exec 3>&-; eval "set --; $1")', 'echo "pid $$" >&3 && eval "set --; $1"'
)

JOB_VARIABLES = (
    "QUEUECTL_JOB_ID",
    "QUEUECTL_ATTEMPT",
    "QUEUECTL_MAX_RETRIES",
    "QUEUECTL_HOME",
    "QUEUECTL_TOKEN",
    "QUEUECTL_QUEUE",
    "QUEUECTL_FAILPOINT",
)

# What the host may have again in a moment; every other refusal to start is the job's own.
SHORTAGES = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
WINDOWS_SHORTAGES = (1450, 1455)  # of system resources, of memory: no errno has them


class CannotStart(Exception):
    """The command cannot be started, in words for last_error; the attempt has failed."""


@functools.lru_cache(maxsize=None)
def worker_has_shell_functions() -> bool:
    return any(name.startswith("BASH_FUNC_") for name in worker_environment())


def has_shell_functions(own: Dict[str, str]) -> bool:
    """Whether a job with the variables *own* meets functions that bash exports: one may be called like a builtin."""
    return worker_has_shell_functions() or any(name.startswith("BASH_FUNC_") for name in own)


@functools.lru_cache(maxsize=None)
def worker_environment() -> Dict[str, str]:
    """The worker's environment, without what an outer job left in it."""
    return {key: value for key, value in os.environ.items() if key not in JOB_VARIABLES}


def job_environment(claim: Claim, queue: str = "") -> Dict[str, str]:
    """The worker's environment, the job's own, and what tells the job who it is; *queue* is the queue's identity."""
    own = claim.env
    if system.WINDOWS:  # where Path is PATH
        own = {name.upper(): value for name, value in own.items()}
    environment = dict(worker_environment(), **own)
    home = os.environ.get("QUEUECTL_HOME", "")
    values = (claim.id, str(claim.attempts), str(claim.max_retries), home, claim.token, queue)
    environment.update(zip(JOB_VARIABLES, values))
    return environment


def check_startable(claim: Claim, environment: Dict[str, str]) -> None:
    """Raise CannotStart, in words, for a directory or program that cannot be used."""
    if not os.path.isdir(claim.cwd):
        raise CannotStart("the directory %s does not exist" % claim.cwd)
    if not os.access(claim.cwd, os.X_OK):
        raise CannotStart("the directory %s may not be entered" % claim.cwd)
    if isinstance(claim.command, str):
        return
    program = claim.command[0]
    if system.WINDOWS:
        if not spawn.find_program(program, claim.cwd, environment):
            raise CannotStart("the program %s was not found" % program)
    elif os.path.dirname(program):
        path = os.path.join(claim.cwd, program)
        if not os.path.exists(path):
            raise CannotStart("the program %s does not exist" % program)
        if os.path.isdir(path) or not os.access(path, os.X_OK):
            raise CannotStart("the program %s is not executable" % program)
    elif not spawn.on_path(program, environment):
        raise CannotStart("the program %s was not found on PATH" % program)


def launch_checked(claim: Claim, environment: Dict[str, str], streams: Sequence[int]) -> ChildProcess:
    """Launch. Raises CannotStart where that fails by the job's own fault, OSError where the host lacks something."""
    try:
        return launch(claim, environment, streams)
    except OSError as error:
        if error.errno in SHORTAGES or getattr(error, "winerror", None) in WINDOWS_SHORTAGES:
            raise
        raise CannotStart("cannot start in %s: %s" % (claim.cwd, error.strerror)) from None
    except ValueError as error:
        raise CannotStart("cannot start: %s" % error) from None


def shortage_of_watcher() -> str:
    """What the host lacks, in words, where a watcher could not even begin its command."""
    try:
        fd = os.open(os.devnull, os.O_RDWR)
    except OSError as error:
        return "%s cannot be used: %s" % (os.devnull, error.strerror)
    os.close(fd)
    return "its shell could not begin: no process, memory, file or disk to be had"


def launch(claim: Claim, environment: Dict[str, str], streams: Sequence[int]) -> ChildProcess:
    """Start the command under its watcher, in a session of its own.

    *streams*: the run file for its lock, stdout, stderr, the run file for notes.
    """
    if system.WINDOWS:
        return spawn.launch_suspended(claim.command, claim.cwd, environment, streams[1], streams[2])
    script, words = EXECUTE, claim.command
    if isinstance(words, str):
        if NEEDS_OWN_SHELL.search(words):
            words = [SHELL, "-c", " " + words]  # the blank: a leading - would be an option
        else:
            inside = ONE_BUILTIN.match(words) and not has_shell_functions(claim.env)
            script, words = EVALUATE_INSIDE if inside else EVALUATE, [words]
    elif words[0].startswith("-"):  # an option to `exec`, of which only some shells know --
        words = [spawn.on_path(words[0], environment) or words[0]] + words[1:]
    umask = "%04o" % (0o022 if claim.umask is None else claim.umask)
    arguments = [SHELL, "-c", script, SHELL, umask] + words
    return spawn.start(arguments, claim.cwd, environment, streams)
