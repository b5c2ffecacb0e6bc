"""Options of other job queues, and what is typed here in their place: for refusals alone (arguments, retyped).

The places in braces are those of words; {command} is the command that was typed, {option} the option without dashes.
"""

from __future__ import annotations

from queuectl_lib.commands import words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Sequence

    from queuectl_lib.commands.words import Answers

each = words.each
COUNT = "`worker start --count {n}`"
RETRIES = "`add --max-retries {n} \"COMMAND\"`; for all: `config set max_retries {n}`"
NOT_ASKED = "nothing is asked, so it is left out: `{command}`"
PLACE = (
    "`--home DIR` names the folder of queue and settings, `config set db_path FILE` the database in it"
    " (or QUEUECTL_DB_PATH)"
)
IS_WORD = "the command line itself is one word: `add {text}`"
# Options, without dashes and what joins their words: for all commands, or for some (OPTION_OF).
OPTIONS: Answers = each(
    "db database dbpath dbfile sqlite storage dburl: " + PLACE,
    "config configfile conf cfg: `--home DIR` names the folder in which config.json is",
    "yes y confirm assumeyes noconfirm noninteractive force f: " + NOT_ASKED,
    "retries retry maxretry maxattempts attempts tries r retrylimit numretries: " + RETRIES,
    "cmd command c exec: " + IS_WORD,
    "prio p: `add --priority {n} \"COMMAND\"`",
    "wait sync block: `wait ID` waits until a job is final",
    "at when startat scheduledat eta runafter begin: `add --run-at TIME \"COMMAND\"`",
    "in runin countdown delayseconds: `add --delay 10m \"COMMAND\"`",
    "dependson depends requires needs dependency: `add --after ID \"COMMAND\"`",
    "dir workdir workingdir workingdirectory chdir directory: `add --cwd DIR \"COMMAND\"`",
    "environment e setenv: `add --env NAME=VALUE \"COMMAND\"`",
    "label labels category tags group: a tag: as in `add --tag NAME \"COMMAND\"`",
    "uniquekey dedupe dedup idempotencykey key: `add --unique KEY \"COMMAND\"`",
    'cron every repeat recurring period: `schedule set NAME "every 15m" "COMMAND"`',
    "retrydelay retryinterval backoffbase backofffactor: `add --backoff fixed:30s \"COMMAND\"`",
    "timelimit maxruntime maxtime deadline timeoutseconds: `add --timeout 10m \"COMMAND\"`",
    "mem memory maxmem memlimit memorylimit: `add --limit as=4G \"COMMAND\"` bounds each process of it here; a launcher"
    " may reserve it: `add --launcher NAME --launcher-args \"--mem=4G\" \"COMMAND\"`",
    "partition account qos nodes nodelist ntasks cpus cpuspertask cores gres gpus gpu constraint reservation image"
    " hostname: a launcher has such options: --launcher NAME names one of `config get launchers`, and"
    " --launcher-args \"--{option}=VALUE\" hands it on",
    "array: `enqueue --lines FILE` adds a job for each line of a file",
    "csv tsv: `results --tsv --all` prints a line for each job",
    "dry simulate whatif preview: for what changes jobs, as in `cancel --dry-run`",
    "silent s q: --quiet, for what adds or changes jobs: `add --quiet \"COMMAND\"`",
    "v: `--version` prints the version",
    "verbose: nothing more is told, so it is left out: `{command}`",
    "watch: `top` shows it live; `wait` tells how far it is until all jobs are final",
    "format output o: `{command} --json` prints JSON",
    "status filter: a state: as in `list --state failed`",
    "ids: an id needs no option: `{command} {id}`",
    "id jobid job i: an id needs no option: `{command} {id}`",
    "n: `add --name NAME \"COMMAND\"`",
    "follow: `run \"COMMAND\"` enqueues a command and follows it, `logs -f ID` one that is there",
    "sort order reverse desc: `list` has the newest last, and `list --json` all that there is to sort",
    "loglevel log logfile: `worker start --background` writes its log to a file beside the database",
    "reason comment message note: no reason is kept, so it is left out: `{command}`",
    "user host port url: queuectl is of one user on one host: `--home DIR` chooses the queue",
)
OF_WORKER: Answers = each(
    "workers concurrency c w numworkers threads parallel jobs j p num procs max pool size: " + COUNT,
    "foreground fg nodaemon f: that is how it runs: `worker start`",
    "detach d bg daemonize fork: `worker start --background`",
    "interval poll sleep pollseconds pollinginterval i: `worker start --poll-interval SECONDS`",
    "once oneshot single burst exitwhenempty empty untilempty: `worker start --drain`",
    "stop kill shutdown: `worker stop`",
    "status list: `worker list`",
    "pidfile pid: none is needed: `worker list` has the pids, `worker stop` finds them",
    "maxjobs limit: `worker start --max-time 1h` stops after a while",
    "queues q: `worker start --queue A,B`",
    "timeout jobtimeout t: `config set timeout 10m` is for each attempt of a job",
    "retries maxretries retry r: `config set max_retries {n}`",
    "backoff base b: `worker start --backoff-base X`",
    "grace: `config set grace 10`",
    "id: `worker start` gives names by itself; `worker list` has them",
    "scale: `worker stop`, then `worker start --count {n}`",
    "verbose v debug loglevel: it says what it does already: `worker start`",
)
OF_RUN: Answers = each(
    "detach d background bg nowait async: `add \"COMMAND\"` enqueues it and does not wait",
    "wait sync block exitcode: that is what it does: `run \"COMMAND\"`",
    "workers concurrency count w j: `worker start --count {n}` runs what waits",
)
OF_CRON: Answers = each("workers concurrency c w numworkers threads parallel jobs j p num: `cron --count {n}`")
OF_WORKER_LIST: Answers = each("all a verbose v long l: it lists all that there is: `worker list`")
OF_PAUSE: Answers = each("queue q name all: a queue needs no option, and none is all of them: `{command} QUEUE`")
OF_PRUNE: Answers = each(
    "days d olderthandays: `prune --older-than {n}d`",
    "age before: `prune --older-than AGE`",
    "failed: what is failed waits for its next attempt; what is dead: `prune --state dead`",
)
OF_STOP: Answers = each(
    "force f kill immediate hard 9: `worker stop --now` ends running jobs and gives them back",
    "graceful wait soft: that is what it does: `worker stop`",
    "all: that is what it does: `worker stop`",
    "id name pid pidfile worker n count: it stops every supervisor of this queue, by no name: `worker stop`",
)
OF_DLQ: Answers = each(
    "olderthan before age: `prune --state dead --older-than {age}`",
    "days: `prune --state dead --older-than {n}d`",
    "clear empty purge: `dlq purge`",
    "dead failed: all that is there is dead, so it is left out: `{command}`",
    "n num top max tail lines: `dlq list --limit {n}`",
    "count: `status` counts the dead",
)
OF_LISTS: Answers = each(
    "s status st filter: `list --state STATE`",
    "ids idsonly onlyids q: the ids alone: `list | tail -n +2 | cut -d ' ' -f 1`",
    "running active: `list --state processing`",
    "pending failed dead completed cancelled: `list --state {option}`",
    "done success: `list --state completed`",
    "n num count top max lines tail: `list --limit {n}`",
    "l long v verbose: `show ID` shows all of a job, `list --json` of each",
    "search grep command name: `list --match TEXT`",
    "a: `list --all`",
    "columns fields wide w noheader noheaders: `list --json` has all that there is of each",
)
OF_TOP: Answers = each(
    "b batch n iterations count 1: `top --once` prints it once, `top | cat` again and again",
    "d delay s secs seconds refresh i: `top --interval {n}`",
    "filter search match q: the key / within it, or `list --match TEXT`",
)
OF_LOGS: Answers = each(
    "stdout out o: `logs ID 2> FILE` keeps stderr away",
    "err e: `logs --stderr ID`",
    "tail num: `logs -n {n} ID`",
    "a: `logs --attempt N ID`",
    "t timestamps: no times are kept of lines, so it is left out: `{command}`",
)
OF_RESULTS: Answers = each(
    "csv spreadsheet: `results --tsv`",
    "table: that is how it prints: `{command}`",
    "limit n num top: `results --last {n}`",
    "dir d outputdir outdir: `results --output DIR`",
)
OF_SHOW: Answers = each(
    "logs log output stdout: `logs {id}`",
    "limit n num top: `show --last {n}`",
    "v verbose full l long: `show --all ID`",
)
OF_WAIT: Answers = each(
    "t timelimit deadline maxwait timeoutseconds: `wait --timeout {n}`",
    "v progress: `wait --verbose`",
    "first one: `wait --any`",
    "interval poll sleep: it sees by itself what ends, so it is left out: `{command}`",
)
OF_STATUS: Answers = each("v verbose long l all a: it shows all that there is: `{command}`")
OF_RERUN: Answers = each("id name as newid: what is added again gets an id of its own, so it is left out: `rerun`")
OF_CONFIG: Answers = each(
    "all list show: `config get` prints all settings",
    "key k value v: key and value stand without options: `config set KEY VALUE`",
    "reset unset default: `config unset KEY`",
)
OF_ENQUEUE: Answers = each(
    "f i input from json jobs data csv tsv txt: `enqueue --file FILE` reads JSON, `enqueue --lines FILE` commands",
)
# By the first words of a command; the longest that fits is asked first.
OPTION_OF: Dict[str, Answers] = {
    "run": OF_RUN,
    "top": OF_TOP,
    "worker stop": OF_STOP,
    "worker list": OF_WORKER_LIST,
    "worker": OF_WORKER,
    "pause": OF_PAUSE,
    "resume": OF_PAUSE,
    "prune": OF_PRUNE,
    "cron": OF_CRON,
    "dlq": OF_DLQ,
    "list": OF_LISTS,
    "logs": OF_LOGS,
    "results": OF_RESULTS,
    "show": OF_SHOW,
    "wait": OF_WAIT,
    "status": OF_STATUS,
    "rerun": OF_RERUN,
    "config": OF_CONFIG,
    "enqueue": OF_ENQUEUE,
}
# What is printed, by the word behind --format.
FORMATS: Answers = {
    **dict.fromkeys(("csv", "tsv"), "`results --tsv --all` prints a line for each job"),
    **dict.fromkeys(("table", "text", "plain", "wide"), "that is how it prints: `{command}`"),
}
# Where an option is one of those that look; the first that takes the whole line is named.
LOOKS: Dict[str, Sequence[str]] = {
    "stats": ("status", "list"),
    "why": ("list",),
    "status": ("list",),
    "check": ("list",),
    "show": ("list",),
    "results": ("list",),
    "dlq groups": ("dlq list",),
    "worker list": ("list",),
    "queue list": ("list",),
}
