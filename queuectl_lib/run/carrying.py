"""Variables of a job that would act on its watcher, or be lost in it: carried past it, to the command alone."""

from __future__ import annotations

import re
import sys

from queuectl_lib.host import shells

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, FrozenSet, Iterable, List

# What a shell or its loader heeds before it has read a word, or what it sets anew for those that it starts.
HEEDED = (
    r"(?:SHELLOPTS|BASHOPTS|BASH_.*|LD_.*|DYLD_.*|GLIBC_TUNABLES|KSH_VERSION|YASH_VERSION|ZSH_VERSION|ENV|IFS|OPTIND"
    r"|POSIXLY_CORRECT|PS[124]|PPID|PWD|OLDPWD|SHLVL|LINENO|RANDOM|HISTCMD|BASHPID|QUEUECTL_PAST_.*|_"
    r"|SECONDS|TMOUT|COLUMNS|LINES|HISTSIZE|EPOCHSECONDS|EPOCHREALTIME|SRANDOM|OPTERR|OPTARG|BASH|EUID|UID|GROUPS"
    r"|OSTYPE|MACHTYPE|HOSTTYPE|DIRSTACK|FUNCNAME|FUNCNEST|PIPESTATUS|CHILD_MAX)\Z"
)
FUNCTION = re.compile(r"BASH_FUNC_(.*)(?:%%|\(\))\Z", re.S)
# What of the worker's own is carried, too: it makes a bash do something else, or call what is no builtin.
OF_THE_WORKER = re.compile(
    r"(?:SHELLOPTS|BASHOPTS|BASH_FUNC_(?:umask|echo|shift|exec|eval|set|trap|exit|\[|test|true|false)(?:%%|\(\)))\Z"
)

# Under safe names the variables pass through the watcher; a Python gives them back their own and becomes the
# command. It costs some ten milliseconds, and unlike env(1) shows no value to who lists processes.
CARRY = """import os, sys, _signal
for number in (_signal.SIGPIPE, getattr(_signal, "SIGXFSZ", _signal.SIGPIPE)):
    _signal.signal(number, _signal.SIG_DFL)
env = dict(os.environb)
env.pop(b"LC_CTYPE", None)
for key in [key for key in env if key.startswith(b"QUEUECTL_PAST_")]:
    name, _, value = env.pop(key).partition(b"=")
    env[name] = value
shell, words = sys.argv[1], [os.fsencode(word) for word in sys.argv[2:]]
program, code = words[0], 127
for folder in [b""] if b"/" in program else env.get(b"PATH", os.fsencode(os.defpath)).split(b":"):
    path = os.path.join(folder, program)
    try:
        os.execve(path, words, env)
    except (FileNotFoundError, NotADirectoryError):
        continue
    except OSError as error:
        if error.errno == 8:
            os.execve(shell, [shell, path] + words[1:], env)
        code, reason = 126, error.strerror
sys.stderr.write("%s: %s\\n" % (sys.argv[2], "not found" if code == 127 else reason))
sys.exit(code)"""


def carrier(shell: str, before: str = "") -> List[str]:
    """The words before those of a command to which the carried variables go; its Python does *before* that first."""
    return [sys.executable, "-I", "-S", "-c", before + CARRY, shell]


def of_worker(names: Iterable[str], shell: str) -> FrozenSet[str]:
    """Which of *names*, in the worker's own environment, *shell* would heed, or not hand on to what it starts."""
    odd = {name for name in names if not shells.NAME.match(name)}
    heeded = {name for name in names if OF_THE_WORKER.match(name)}
    return frozenset(heeded | (set() if not odd or shells.hands_on(shell) else odd))


def of_job(own: Iterable[str]) -> FrozenSet[str]:
    """The same of the names of a job's own variables."""
    return frozenset(name for name in own if re.match(HEEDED, name) or not shells.NAME.match(name))


def parted(environment: Dict[str, str], names: FrozenSet[str], worker: Dict[str, str]) -> Dict[str, str]:
    """*environment* for the watcher: *names* go under others that mean nothing, or have the values of *worker*."""
    watched = dict(environment)
    for number, name in enumerate(sorted(names)):
        if name in worker and worker[name] != watched[name]:
            watched[name] = worker[name]
        else:
            del watched[name]
        watched["QUEUECTL_PAST_%d" % number] = "%s=%s" % (name, environment[name])
    if "LC_CTYPE" in environment:  # which Python sets where it finds the plain C locale
        watched["QUEUECTL_PAST_LC_CTYPE"] = "LC_CTYPE=" + environment["LC_CTYPE"]
    return watched


def functions_among(names: Iterable[str]) -> FrozenSet[str]:
    """The names of the shell functions that a bash finds among the variables *names*."""
    found = (FUNCTION.match(name) for name in names)
    return frozenset(match.group(1) for match in found if match)


def acts_on_shells(names: Iterable[str]) -> bool:
    """True where one of the variables *names* makes a shell do something else."""
    return any(name in shells.OPTIONS_OF_BASH or name == "POSIXLY_CORRECT" for name in names)


def text_shell(shell: str, names: Iterable[str]) -> List[str]:
    """The words before a text that is to hand on the variables *names*: *shell*, or a bash that does as a sh.

    That bash would heed names that mean nothing to *shell*. Functions it leaves alone where it is told to (-p, with
    which it leaves CDPATH alone, too); beside its own options *shell* has the text, and drops what it always drops.
    """
    names = set(names)
    bash = None
    if not all(map(shells.NAME.match, names)) and not names & shells.OPTIONS_OF_BASH and not shells.hands_on(shell):
        bash = shells.bash()
    apart = ["-p"] if functions_among(names) else []
    return [bash, "--posix", *apart, "-O", "xpg_echo", "-c"] if bash else [shell, "-c"]
