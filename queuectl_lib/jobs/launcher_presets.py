"""Launchers that are known by name: Slurm, a queuectl behind ssh, docker and podman, systemd-run (jobs/launchers)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

    from queuectl_lib.values import Fields

# The directory is looked for there: Slurm would run elsewhere, and succeed. srun gives its own errors as 75.
# A step is sent the signal; what never began, or would keep its nodes once its srun is lost, is cancelled.
# A controller that was killed has forgotten its last seconds, until each node has told it what runs there: a step that
# it does not know is killed then, unless its number was given again. So a young one's "nothing" is no answer, and it is
# given no job. With -a also hidden partitions are told of.
SLURM_SETTLED = r"""settled() {
c=$(SLURM_TIME_FORMAT=%s scontrol show config) || return 1
n=$(printf '%s\n' "$c" | sed -n 's/^Configuration data as of //p')
b=$(printf '%s\n' "$c" | sed -n 's/^BOOT_TIME *= *//p')
test "$n" -ge $((b + $1)) || { echo "slurmctld is younger than $1 s, may have forgotten jobs" >&2; return 1; }; }
"""
SLURM_ALIVE = r"""s=$(squeue -a -h -n "$1" -o %T) || exit 2; test -z "$s" || exit 0
settled "$2" || exit 2; n=$(sinfo -a -h -N -t unknown -o %N) || exit 2
test -z "$n" || { echo "these nodes have yet to report:" $n >&2; exit 2; }
exit 1"""
SLURM = {
    "run": [
        *("sh", "-c", SLURM_SETTLED + 'settled "$1" || exit 75; shift; exec "$@"', "sh", "{settle}"),
        *("srun", "-Q", "-n1", "-J", "queuectl-{token}", "{args}", "/bin/sh", "-c"),
        *('cd -- "$1" || exit 126; shift; exec "$@"', "sh", "{cwd}"),
    ],
    "end": [
        *("sh", "-c"),
        'scancel -Q -n "$1" -t PENDING || exit; scancel -Q -n "$1" -t RUNNING -s "$2" || exit; '
        'case $2 in KILL) scancel -Q -n "$1";; esac',
        *("sh", "queuectl-{token}", "{signal}"),
    ],
    "alive": ["sh", "-c", SLURM_SETTLED + SLURM_ALIVE, "sh", "queuectl-{token}", "{settle}"],
    "later_codes": [75],
    "env": {"SLURM_EXIT_ERROR": "75"},
    "values": {"settle": "60"},  # seconds
}
# A queuectl there keeps the job while the line is down, so the next attempt joins it.
# Only its own words count: a Python that fails ends with 1, too. One line of what it prints has its state.
SSH_ALIVE = r"""s=$(ssh -oBatchMode=yes -oConnectTimeout=10 -- "$1" "$2" show --json "$3" 2>&1); c=$?
case $c$s in 0*) ;; 1*'"code": "no_such_job"'*) exit 1;; *) printf '%s\n' "$s" >&2; exit 2;; esac
printf '%s\n' "$s" | grep -Eq '^  "state": "(completed|dead|cancelled)"' && exit 1; exit 0"""
# One that is cancelled already, or is not ended yet, was asked to end: whether it has, alive tells.
SSH_END = r"""s=$(ssh -oBatchMode=yes -oConnectTimeout=10 -- "$1" "$2" cancel --json "$3" 2>&1); c=$?
case $c$s in 0*|1*'"code": "wrong_state"'*|1*'"code": "not_ended"'*) exit 0;; esac
printf '%s\n' "$s" >&2; exit $c"""
# On the other side, quoted for its shell: 255 there is one of the job (perl, php), and would be taken for a lost line,
# joined again and again.
SSH_CODE = """'"$@"; c=$?; case $c in 255) exit 254;; esac; exit $c'"""
# The timeout goes along: nobody here ends what runs there while the line is down.
SSH = {
    "run": [
        *("ssh", "-oBatchMode=yes", "-oConnectTimeout=10", "-oServerAliveInterval=30", "--", "{host}"),
        *("sh", "-c", SSH_CODE, "sh", "{queuectl}", "run", "--id", "queuectl-{far}"),
        *("--max-retries", "0", "--attach", "--cwd", "{directory}", "--timeout={seconds}"),
        *("--env={name}={value}", "{args}", "--"),
    ],
    "end": ["sh", "-c", SSH_END, "sh", "{host}", "{queuectl}", "queuectl-{far}"],
    "alive": ["sh", "-c", SSH_ALIVE, "sh", "{host}", "{queuectl}", "queuectl-{far}"],
    "later_codes": [255],
    "attach": True,
    "quoted": True,
    "values": {"queuectl": "queuectl", "directory": "{cwd}"},
}
# `docker ps` says nothing, with 0, of a container that is not there; `inspect` would fail as without the daemon.
DOCKER = {
    "run": [
        *("{program}", "run", "--init", "--rm", "--name=queuectl-{token}", "--env={name}"),
        *("--mount=type=bind,source={cwd},target={cwd}", "--workdir={cwd}", "{args}", "{image}"),
    ],
    "end": [
        *("sh", "-c", 'case $3 in KILL) exec "$1" rm -f "$2";; esac; exec "$1" kill -s "$3" "$2"'),
        *("sh", "{program}", "queuectl-{token}", "{signal}"),
    ],
    "alive": [
        *("sh", "-c", 's=$("$1" ps -a -q -f "name=^$2$") || exit 2; test -n "$s"'),
        *("sh", "{program}", "queuectl-{token}"),
    ],
    "later_codes": [125],
    "values": {"program": "docker"},
}
# A scope is of this host, with our own processes in it: all is found and ended as ever.
SYSTEMD = {"run": ["systemd-run", "--user", "--scope", "-q", "--unit=queuectl-{token}", "{args}", "--"]}

PRESETS: Dict[str, Fields] = {"slurm": SLURM, "ssh": SSH, "docker": DOCKER, "systemd-run": SYSTEMD}
REQUIRED: Dict[str, Dict[str, str]] = {  # values that only the user knows, and an example of each
    "ssh": {"host": "me@node1"},
    "docker": {"image": "debian:12"},
}
