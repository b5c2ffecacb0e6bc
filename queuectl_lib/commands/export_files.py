"""What an export consists of: a script for each job, and one that has them run, as text for sh. Pure.

    DIR/jobs/000001.sh     one job: its directory, umask, variables; then it becomes the command
    DIR/jobs/000001.cmd    its text, where that names its own interpreter (#!)
    DIR/run.sh             sh: one after the other; parallel: by GNU parallel, from DIR/jobs.list
    DIR/submit.sh          slurm: array jobs of at most 1000, each a task of DIR/task.sh
    DIR/complete           all of it is there; without it nothing is started

All three may be started again: what has run, or was submitted, does not a second time. While one runs, or a job that
one has begun (it inherits the lock), a second is refused, where there is flock(1).
"""

from __future__ import annotations

from queuectl_lib import errors
from queuectl_lib.host import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional

    from queuectl_lib.values import Fields

KINDS = ("slurm", "parallel", "sh")
STARTS = {"slurm": "submit.sh", "parallel": "run.sh", "sh": "run.sh"}
ARRAY = 1000  # tasks: MaxArraySize is 1001 where nobody has set it
quoted = system.quoted


def name_of(number: int, end: str = "sh") -> str:
    """Of the file for the job with this number of the export, from 1."""
    return "jobs/%06d.%s" % (number, end)


def script(job: Fields) -> str:
    """What runs *job*. Raises ValueError where somebody has made it what cannot be meant."""
    command, env, umask = job["command"], job["env"], job["umask"]
    if not isinstance(env, dict) or not isinstance(job["cwd"], str):
        raise ValueError
    lines = ["#!/bin/sh", "# queuectl: job %s" % errors.printable(str(job["id"]))]
    if is_script(command):
        lines.append('case $0 in /*) queuectl_text=${0%.sh}.cmd;; *) queuectl_text=$PWD/${0%.sh}.cmd;; esac')
    lines += ["exec </dev/null", "cd -- %s || exit 126" % quoted(job["cwd"])]
    lines += ["umask %s" % quoted(str(umask))] if umask is not None else []
    odd = []
    for name, value in env.items():
        if name.isidentifier() and name.isascii():
            lines.append("export %s=%s" % (name, quoted(value)))
        else:
            odd.append(quoted("%s=%s" % (name, value)))  # which a shell would not hand on
    lines += ["exec 2>&1"] if job["merge"] else []
    return "\n".join([*lines, " ".join(["exec", *(["env", *odd] if odd else []), *words(job)])]) + "\n"


def words(job: Fields) -> List[str]:
    """The command of *job* as words for sh."""
    command = job["command"]
    if isinstance(command, str):
        if is_script(command):
            return ['"$queuectl_text"']
        text = " " + command if command[:1] in ("-", "+") else command
        return [quoted(job["shell"] or "/bin/sh"), "-c", quoted(text)]
    if not command or [word for word in command if not isinstance(word, str)]:
        raise ValueError
    if command[0].startswith("-") or "=" in command[0]:  # an option of exec or env, or a variable to it
        return ["/bin/sh", "-c", "'\"$@\"'", "sh", *map(quoted, command)]
    return [quoted(word) for word in command]


def is_script(command: object) -> bool:
    return isinstance(command, str) and command.startswith("#!")


def stub(identifier: object, number: int) -> str:
    """In the place of a job that was not taken out: it is the queue's."""
    text = "job %s stays in its queue: nothing is run for %s" % (errors.printable(str(identifier)), name_of(number))
    return "#!/bin/sh\necho %s >&2\nexit 0\n" % quoted(text)


GUARD = """cd -- "$(dirname -- "$0")" || exit 1
if [ ! -e complete ]; then
    echo "this export was interrupted: some of its jobs may be in the queue yet: nothing is started" >&2
    exit 1
fi
exec 9>>running || exit 1
if command -v flock >/dev/null && ! flock -n 9; then
    echo "it was started before, and it, or a job that it has begun, still runs: nothing is started" >&2
    exit 1
fi
"""
SH = """#!/bin/sh
# {count} jobs, one after the other; what has an exit code in jobs/NUMBER.code is not run again.
{guard}number=1 failed=0
while [ "$number" -le {count} ]; do
    file=$(printf 'jobs/%06d' "$number")
    if [ ! -e "$file.code" ]; then
        /bin/sh "$file.sh"
        echo "$?" >"$file.code"
    fi
    read -r code <"$file.code"
    if [ "$code" != 0 ]; then
        echo "$file.sh: exit code $code" >&2
        failed=$((failed + 1))
    fi
    number=$((number + 1))
done
echo "failed: $failed of {count}" >&2
[ "$failed" = 0 ]
"""
PARALLEL = """#!/bin/sh
# {count} jobs by GNU parallel, which is given what follows: sh run.sh -j8. What joblog has is not run again.
{guard}exec parallel -0 --will-cite --joblog joblog --resume -a jobs.list "$@" /bin/sh
"""
TASK = """#!/bin/sh
# $1: the folder of the export; $2: how many jobs come before those of this array.
exec /bin/sh "$(printf '%s/jobs/%06d.sh' "$1" "$((SLURM_ARRAY_TASK_ID + $2))")"
"""
SUBMIT = """#!/bin/sh
# {count} jobs for Slurm; sbatch is given what follows: sh submit.sh --mem=4G. What has a file submitted-N is there.
{guard}submit() {{
    if [ -e "submitted-$1" ]; then
        echo "the jobs after the first $1 were submitted already: submitted-$1" >&2
    else
        after=$1 tasks=$2
        shift 2
        sbatch --job-name=queuectl "--array=1-$tasks" "$@" task.sh "$PWD" "$after" || exit
        : >"submitted-$after" || exit
    fi
}}
{chunks}
"""


def starters(kind: str, count: int) -> Dict[str, str]:
    """The files that have *count* jobs run, by their names."""
    if kind == "sh":
        return {"run.sh": SH.format(count=count, guard=GUARD)}
    if kind == "parallel":
        listed = "".join(name_of(number) + "\0" for number in range(1, count + 1))
        return {"run.sh": PARALLEL.format(count=count, guard=GUARD), "jobs.list": listed}
    chunks = [(after, min(ARRAY, count - after)) for after in range(0, count, ARRAY)]
    lines = "\n".join('submit %d %d "$@"' % chunk for chunk in chunks)
    return {"submit.sh": SUBMIT.format(count=count, guard=GUARD, chunks=lines), "task.sh": TASK}


# ---------------------------------------------------------------- what it lacks

RULES = ("nice", "limit", "ok_codes", "later_codes", "dead_codes", "max_snoozes", "backoff", "backoff_cap", "jitter")
LACKS: Dict[str, Callable[[Fields], object]] = {
    "what they come after": lambda job: job["after"] or job["after_any"] or job["after_fail"],
    "locks": lambda job: job["lock"],
    "the time that they wait for": lambda job: job["delayed"],
    "holds": lambda job: job["hold"],
    "unique keys": lambda job: job["unique"],
    "the schedule that made them": lambda job: job["schedule"],
    "priorities": lambda job: job["priority"],
    "limits of their queues": lambda job: job["queue"] != "default",
    "timeouts": lambda job: job["timeout"],
    "retries": lambda job: job["max_retries"],
    "nice, limit and what exit codes mean": lambda job: [key for key in RULES if job[key] is not None],
    "notify": lambda job: job["notify"],
    "launchers": lambda job: job["launcher"] or job["launcher_args"],
}


def lacking(job: Fields, now_text: str) -> List[str]:
    """What of *job* no script of ours can say."""
    due: Optional[str] = job["next_run_at"]
    known = dict(job, delayed=isinstance(due, str) and due > now_text)
    return [name for name, asks in LACKS.items() if asks(known)]
