"""Starting the command of a job: its environment, its watcher, and whose fault it is when that fails."""

from __future__ import annotations

import errno
import functools
import os

from queuectl_lib.host import bundle, shells, signals, spawn, system
from queuectl_lib.jobs import command_text
from queuectl_lib.run import carrying, inheriting
from queuectl_lib.store import folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, FrozenSet, List, Optional, Sequence, Tuple

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
# of the cost of a short job) and becomes the last command where that is a program
# (jobs/command_text): no process in between dies of a signal that the command sends to its
# group. EVALUATE_INSIDE runs it in the watcher itself, which saves the fork too, for text
# that is one builtin that only writes and returns. What cannot be read so simply gets a
# shell of its own, as does every text where sh is of the ksh or zsh kind: these do not fork
# there, or keep descriptor 9 from what they start (a builtin starts nothing). $3 is there for
# text with which bash must not be a fork (may_end_its_shell). All of it is one line: so bash
# counts the lines of the text from 1.
HEEDED = " ".join(signals.that_a_group_may_get())
WATCHER = (
    'exec 9<&0 8>&2 </dev/null 2>/dev/null; trap : HEEDED; umask "$1"; shift; %s; '
    'queuectl_code=$?; echo "exit $queuectl_code" >&3; exit "$queuectl_code"'
).replace("HEEDED", HEEDED)
EXECUTE = WATCHER % '(echo "pid $$" >&3 && exec "$@" 9<&9 2>&8 8>&- 3>&-)'
EVALUATE = WATCHER % (
    'if [ -z "${KSH_VERSION-}${YASH_VERSION-}${ZSH_VERSION-}${3+${BASH_VERSION-}}" ]; '
    'then (echo "pid $$" >&3 || exit; exec 3>&-; eval "set --; $1") 9<&9 2>&8 8>&-; '
    'else (echo "pid $$" >&3 && exec "$0" -c " ${2-$1}" 9<&9 2>&8 8>&- 3>&-); fi'
)
INSIDE = 'echo "pid $$" >&3 && eval "set --; $1" 2>&8'
EVALUATE_INSIDE = (WATCHER % INSIDE).replace(HEEDED, "HUP INT QUIT TERM")  # a builtin sends none itself

JOB_VARIABLES = (
    "QUEUECTL_JOB_ID",
    "QUEUECTL_ATTEMPT",
    "QUEUECTL_MAX_RETRIES",
    "QUEUECTL_TOKEN",
    "QUEUECTL_QUEUE",
    "QUEUECTL_CONTROL",
    "QUEUECTL_HOME",
    *bundle.SET_BY_WORKER,
    "QUEUECTL_FAILPOINT",
    *("QUEUECTL_TAGS", "QUEUECTL_SCHEDULE", "QUEUECTL_SCHEDULED_AT", "QUEUECTL_SNOOZES"),
)

# What the host may have again in a moment; every other refusal to start is the job's own.
SHORTAGES = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
WINDOWS_SHORTAGES = (1450, 1455)  # of system resources, of memory: no errno has them


class CannotStart(Exception):
    """The command cannot be started, in words for last_error; the attempt has failed."""


class NotNow(CannotStart):
    """The same, by no fault of its own: it is to be tried again later."""


@functools.lru_cache(maxsize=None)
def worker_environment() -> Dict[str, str]:
    """The worker's environment, without what an outer job left in it."""
    return {key: value for key, value in inheriting.undone(os.environ).items() if key not in JOB_VARIABLES}


@functools.lru_cache(maxsize=None)
def environment_and_homes() -> Dict[str, str]:
    """The same, and what tells a job whose home it runs in."""
    return dict(worker_environment(), **inheriting.homes())


def job_environment(claim: Claim, queue: str = "", control: str = "") -> Dict[str, str]:
    """The worker's environment, the job's own, and what tells the job who it is.

    *queue* is the queue's identity, *control* where the job can say something of itself.
    """
    own = claim.env
    if system.WINDOWS:  # where Path is PATH
        own = {name.upper(): value for name, value in own.items()}
    environment = environment_and_homes().copy()
    if own:
        environment.update(own, **inheriting.replaced(own, worker_environment()))
    values = (claim.id, str(claim.attempts), str(claim.max_retries), claim.token, queue, control)
    environment.update(zip(JOB_VARIABLES, values))
    if claim.tags:
        environment["QUEUECTL_TAGS"] = claim.tags
    if claim.schedule:
        environment.update(QUEUECTL_SCHEDULE=str(claim.schedule), QUEUECTL_SCHEDULED_AT=str(claim.slot))
    if claim.snoozes:
        environment["QUEUECTL_SNOOZES"] = str(claim.snoozes)
    return environment


def startable(claim: Claim, environment: Dict[str, str], shell: Optional[str]) -> Claim:
    """*claim* as it is to be launched: a text that /bin/sh does not read becomes a list. *shell*: of the settings.

    Raises CannotStart as check_startable does, OSError.
    """
    text = claim.command
    if not isinstance(text, str) or (text[:2] != "#!" and not shell and "shell" not in claim.policy):
        check_startable(claim, environment)
        return claim
    from queuectl_lib.run import scripts  # which few homes need

    path = environment["QUEUECTL_CONTROL"][: -len(folder.SAY)] + folder.SCRIPT
    try:
        found = scripts.as_list(claim, path, shell)
    except ValueError as error:
        raise CannotStart("cannot start: %s" % error) from None
    check_startable(found, environment)
    if found.command[-1] == path:
        scripts.write(text, path)
    return found


def check_startable(claim: Claim, environment: Dict[str, str]) -> None:
    """Raise CannotStart, in words, for a directory or program that cannot be used; but of text see launch_checked."""
    if isinstance(claim.command, str):
        return
    check_directory(claim.cwd)
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


def check_directory(path: str) -> None:
    """The same for the directory of a job."""
    if not os.path.isdir(path):
        raise CannotStart("the directory %s does not exist" % path)
    if not os.access(path, os.X_OK):
        raise CannotStart("the directory %s may not be entered" % path)


def why_not(error: OSError) -> str:
    """What the system says of a program that it does not start; of a script without a first line what to do."""
    if error.errno == errno.ENOEXEC:
        return "%s: a script begins with a line such as #!/bin/sh" % error.strerror
    return str(error.strerror)


def launch_checked(claim: Claim, environment: Dict[str, str], streams: Sequence[int]) -> ChildProcess:
    """Launch. Raises CannotStart where that fails by the job's own fault, OSError where the host lacks something."""
    try:
        return launch(claim, environment, streams)
    except OSError as error:
        if error.errno in SHORTAGES or getattr(error, "winerror", None) in WINDOWS_SHORTAGES:
            raise
        check_directory(claim.cwd)
        raise CannotStart("cannot start in %s: %s" % (claim.cwd, why_not(error))) from None
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
    if claim.policy and "merge" in claim.policy:  # one file, to which both append: in the order of their writes
        streams = [streams[0], streams[1], streams[1], streams[3]]
    if system.WINDOWS:
        flags = limiting_on_windows(claim) if claim.policy else 0
        return spawn.launch_suspended(claim.command, claim.cwd, environment, streams[1], streams[2], flags)
    names = carried_names(claim)
    script, words, carries = script_and_words(claim, environment, names)
    if carries:
        environment = carrying.parted(environment, names, worker_environment())
    umask = "%04o" % (0o022 if claim.umask is None else claim.umask)
    return spawn.start([SHELL, "-c", script, SHELL, umask] + words, claim.cwd, environment, streams)


def script_and_words(claim: Claim, environment: Dict[str, str], names: FrozenSet[str]) -> Tuple[str, List[str], bool]:
    """How the watcher runs the command of *claim*: its script, what that is given, and whether *names* go past it."""
    words = claim.command
    carrier = carrying.carrier(SHELL) if names else []
    if claim.policy and ("nice" in claim.policy or "limit" in claim.policy):
        return limited(claim, names)
    if not isinstance(words, str):
        if words[0].startswith("-"):  # an option to `exec`, of which only some shells know --
            words = [spawn.on_path(words[0], environment) or words[0]] + words[1:]
        return EXECUTE, carrier + words, bool(names)
    functions = functions_of_worker(SHELL)
    if claim.env:
        functions |= carrying.functions_among(claim.env)
    if names and not carrying.acts_on_shells(names) and command_text.is_one_program(words, functions):
        carried = "exec %s %s" % (" ".join(map(system.quoted, carrier)), words)
        return EVALUATE, evaluated(carried, carried), True
    if names and not are_idle_functions(names, claim):
        return EXECUTE, carrier + carrying.text_shell(SHELL, names) + [" " + words, SHELL], True
    if command_text.ONE_BUILTIN.match(words) and not (functions and words.split()[0] in functions):
        return EVALUATE_INSIDE, [words], False
    becomes = command_text.that_becomes_its_last_command(words, functions)
    if becomes is None:
        return EXECUTE, [SHELL, "-c", " " + words], False  # the blank: a leading - would be an option
    return EVALUATE, evaluated(becomes, words), False


def limited(claim: Claim, names: FrozenSet[str]) -> Tuple[str, List[str], bool]:
    """The same for one with rules that bind its process. Raises ValueError where they cannot be set."""
    from queuectl_lib.run import limiting  # which few homes need

    carrier = carrying.carrier(SHELL, limiting.script(claim.policy))
    if not isinstance(claim.command, str):
        return EXECUTE, carrier + claim.command, True
    names = names if names and not are_idle_functions(names, claim) else frozenset()
    return EXECUTE, carrier + carrying.text_shell(SHELL, names) + [" " + claim.command, SHELL], True


def limiting_on_windows(claim: Claim) -> int:
    """The flags of CreateProcess for the rules of *claim*. Raises ValueError where they cannot be heeded."""
    from queuectl_lib.run import limiting  # which few homes need

    nice, limits = limiting.checked(claim.policy)
    if limits:
        raise ValueError("limits cannot be set on Windows")
    return spawn.priority_class(nice)


def evaluated(becomes: str, text: str) -> List[str]:
    """What EVALUATE is given: *text* as it becomes its last command, and where need be as it is."""
    if command_text.may_end_its_shell(text):
        return [becomes, text, "apart"]
    return [becomes] if becomes == text else [becomes, text]


def are_idle_functions(names: FrozenSet[str], claim: Claim) -> bool:
    """True where *names* are functions of the worker's own bash, for which the sh of the job has no use."""
    own = any(name in claim.env or not carrying.FUNCTION.match(name) for name in names)
    return not own and not shells.hands_on(SHELL)


def carried_names(claim: Claim) -> FrozenSet[str]:
    """The names of the variables of *claim* that go past its watcher."""
    names = carried_of_worker(SHELL)
    return names.difference(claim.env) | carrying.of_job(claim.env) if claim.env else names


@functools.lru_cache(maxsize=None)
def carried_of_worker(shell: str) -> FrozenSet[str]:
    return carrying.of_worker(worker_environment(), shell)


@functools.lru_cache(maxsize=None)
def functions_of_worker(shell: str) -> FrozenSet[str]:
    """The shell functions that *shell* takes from the worker's environment, where it does that at all."""
    functions = carrying.functions_among(worker_environment())
    return functions if functions and shells.hands_on(shell) else frozenset()
