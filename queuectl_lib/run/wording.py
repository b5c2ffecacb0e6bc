"""What the words of `worker start` ask for, and the words that ask for it."""

from __future__ import annotations

from queuectl_lib import settings, times, values
from queuectl_lib.errors import BadInput
from queuectl_lib.host import processes as host
from queuectl_lib.host import system
from queuectl_lib.run.options import Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Sequence

PROCESSES_PER_CORE = 2  # one feeds about a core with short jobs
SLOTS_ON_WINDOWS = 50  # of one worker: it waits for no more than 63 ends at once
FILES_OF_WORKER, FILES_OF_JOB = 64, 4  # that may be open


def checked_options(
    count: str, processes: Optional[str], drain: bool, overrides: Dict[str, str], max_time: Optional[str]
) -> Options:
    """What the words of a command line ask for; *overrides* by the key of the setting. Raises BadInput."""
    meant = {key: settings.setting_from_text(key, text, option_of(key)) for key, text in overrides.items()}
    jobs = values.count_from_text(count, "--count", 1000)
    return Options(
        jobs,
        drain,
        overrides={key: settings.check_setting(key, value) for key, value in meant.items()},
        max_seconds=None if max_time is None else times.parse_duration(max_time, "--max-time"),
        processes=useful_processes(jobs) if processes is None else checked_processes(jobs, processes),
    )


def most_slots() -> int:
    """How many jobs one worker can run at once here."""
    if system.WINDOWS:
        return SLOTS_ON_WINDOWS
    return max(1, (host.most_descriptors() - FILES_OF_WORKER) // FILES_OF_JOB)


def useful_processes(jobs: int) -> int:
    """How many workers this host has a use for, to run so many *jobs* at once."""
    return max(min(jobs, PROCESSES_PER_CORE * host.cores()), -(-jobs // most_slots()))


def checked_processes(jobs: int, text: str) -> int:
    """How many are asked for. Raises BadInput."""
    found = values.count_from_text(text, "--processes", 1000)
    if found > jobs:
        raise BadInput("--processes %d is more than the jobs that may run at once: --count %d" % (found, jobs))
    if found * most_slots() < jobs:
        why = "" if system.WINDOWS else " here (`ulimit -n`)"
        text = "--processes %d cannot run %d jobs at once: one runs up to %d%s"
        raise BadInput(text % (found, jobs, most_slots(), why))
    return found


def option_of(key: str) -> str:
    """The option of `worker start` that stands in place of the setting *key*."""
    return "--" + key.replace("_", "-")


def command_line(script: str, home: str, name: str, options: Options) -> List[str]:
    """The words that start a supervisor *name* with these options: the reverse of :func:`checked_options`."""
    words = [script, "--home", home, "worker", "start", "--name", name, "--count", str(options.jobs)]
    words += ["--processes", str(options.processes)]
    for key, value in options.overrides.items():
        words += [option_of(key), values.number_text(value)]
    if options.max_seconds is not None:
        words += ["--max-time", values.number_text(options.max_seconds)]
    if options.served:
        is_others = options.served[0].startswith("!")
        words += ["--not-queue" if is_others else "--queue", ",".join(name.lstrip("!") for name in options.served)]
    return words + ["--drain"] * options.drain


def described(options: Options, last: str = "") -> str:
    """How many there are of what, for people; and what is to be said *last*."""
    more = "" if options.jobs == options.processes else ", jobs at once: %d" % options.jobs
    more += ", queues: %s" % served_text(options.served) if options.served else ""
    more += ", " + last if last else ""
    return "workers: %d%s" % (options.processes, more)


def served_text(served: Sequence[str]) -> str:
    """Which queues, for people."""
    if not served:
        return "all"
    names = ", ".join(name.lstrip("!") for name in served)
    return "all but " + names if served[0].startswith("!") else names
