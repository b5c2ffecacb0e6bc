"""Words that users of other job queues type, and what is typed here in their place: for refusals alone (hints).

{id}, {text}, {n}, {key} and {value} stand for the user's own words where they fit. A line in backquotes can be typed.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

    Answers = Dict[str, str]


def each(*rows: str) -> Answers:
    """Of rows "word word ...: answer" the answer to each word, a two-word one written as one_two."""
    found = {}
    for row in rows:
        names, _, answer = row.partition(": ")
        found.update({name.replace("_", " "): answer for name in names.split()})
    return found


DELETE = "`cancel {id}` takes a job out of the queue, `prune {id}` deletes it then; a dead one: `dlq purge {id}`"
ADD = "`add {text}` enqueues a command"
PUT_BACK = "`requeue {id}` puts back what is dead or cancelled"
NO_PAGE = "there is no port: `top` shows it live, `report -o report.html` makes a page for a browser"
EMPTY = (
    "`cancel --all` takes out what waits, `prune` deletes what is completed or cancelled, `dlq purge` what is dead;"
    " --dry-run shows it first"
)
# Words in the place of a command.
COMMANDS: Answers = each(
    "delete remove rm del discard drop erase destroy: " + DELETE,
    "reset: to begin anew: `worker stop`, then `cancel --all`, then `prune --state completed,cancelled,dead`",
    "clear clean cleanup flush empty wipe truncate purge gc vacuum deleteall: " + EMPTY,
    "stop shutdown quit exit halt down: `worker stop` lets running jobs finish, `worker stop --now` ends them",
    "kill abort terminate interrupt: `cancel {id}` ends a job; `worker stop` stops the workers",
    "retry redo again replay restart reenqueue retryall: %s; `dlq retry --all` all that is dead" % PUT_BACK,
    "rerun repeat: %s" % PUT_BACK,
    "start work begin consume up process: `worker start` runs what waits",
    "exec execute: `run {text}` runs it as a job and prints its output, `add {text}` does not wait for it",
    "submit push create new put insert append enqueu task spawn dispatch addjob: " + ADD,
    "daemon background bg: `worker start --background`",
    "workers: `worker list`",
    "ls jobs ll all tasks queues: `list` lists jobs, `queue list` queues",
    "ps active processes: `status` says what there is, `top` shows it live, `list --state processing` what runs",
    "htop live: `top`",
    "dashboard web ui gui monitor server serve panel webui admin page html plot plots graph chart: " + NO_PAGE,
    "prometheus exporter scrape prom: `metrics` writes them for Prometheus, `stats` says how often jobs ran and failed",
    "statistics: `stats` says how often jobs ran and failed, `status --json` how many there are",
    "health healthcheck ping alive healthz ready readyz: `check` is of the queue, `doctor` of this host",
    "info inspect describe details detail view get job: `show {id}`",
    "log output stdout stderr out cat: `logs {id}`",
    "tail follow: `logs -f {id}`",
    "history attempts: `show {id}` shows the attempts of a job",
    "count counts size length len stat summary overview state states: `status`",
    "version v: `--version` prints the version",
    "h usage commands: `--help` lists all commands",
    "man docs doc: `manual | man -l -` is the manual, `--help` lists all commands",
    "init createdb setup migrate bootstrap: `initdb`",
    "install: `cron` prints crontab lines that keep workers running, `doctor` proves that this host can",
    "settings configure conf cfg preferences: `config get`",
    "set: `config set {key} {value}`",
    "unset: `config unset {key}`",
    "dead deadletter deadletters: `dlq list`",
    "failed pending processing completed cancelled: `list --state {word}`",
    "running: `list --state processing`",
    "done finished succeeded: `list --state completed`",
    "queued waiting: `list --state pending`",
    "failures errors: `dlq list` and `list --state failed`; `dlq groups` what they died of",
    "search find grep filter: `list --match {text}`",
    "export dump backup: `list --json` prints jobs as `enqueue -` reads them",
    "import load batch bulk: `enqueue --file FILE` takes JSON",
    "update modify change alter reschedule priority prioritize: `edit {id}`",
    "suspend freeze: `pause QUEUE`, or `hold {id}` for one job",
    "unpause continue unfreeze: `resume QUEUE`, or `release {id}` for one job",
    "block: `hold {id}`",
    "unblock unhold: `release {id}`",
    'at delay later defer: `add --run-at TIME "COMMAND"`, or --delay 10m',
    'every periodic recurring timer: `schedule set NAME "every 15m" "COMMAND"`',
    "crontab: `cron` prints lines that keep workers running, `schedule import` takes a crontab over",
    "test verify selftest diagnose diagnostics: `doctor`",
    "watch: `top` shows it live, `wait` waits until all are final, `logs -f ID` follows one",
    "progress: `status`, or within a job `say progress PERCENT`",
    "tag tags: `list --tag TAG`",
    'depends chain then: `add --after ID "COMMAND"`',
    # ---- two words
    "worker_status worker_ps worker_show worker_ls worker_info worker_count worker_health worker_stats worker_active"
    " worker_processes worker_all worker_who worker_pids: `worker list`",
    "worker_run worker_up worker_launch worker_begin worker_spawn worker_work worker_daemon worker_foreground:"
    " `worker start`",
    "worker_kill worker_quit worker_end worker_halt worker_down worker_shutdown worker_terminate worker_exit"
    " worker_stopall: `worker stop` lets running jobs finish, `worker stop --now` ends them",
    "worker_restart worker_reload: `worker stop`, then `worker start`",
    "worker_scale worker_add worker_set worker_new: `worker start --count {n}`",
    "worker_pause: `pause` lets nothing start",
    "worker_resume worker_unpause: `resume`",
    "worker_logs worker_log worker_tail: in the background they write to worker.log, in the folder QUEUE.db.d beside"
    " the database, whose place `status` tells",
    "dlq_delete dlq_remove dlq_rm dlq_del dlq_discard dlq_drop: `dlq purge {id}`",
    "dlq_clear dlq_empty dlq_flush dlq_clean dlq_cleanup dlq_reset dlq_truncate dlq_deleteall:"
    " `dlq purge`; with --dry-run it shows what that deletes",
    "dlq_count dlq_size dlq_length dlq_status: `status` counts the dead, `dlq list` lists them",
    "dlq_stats dlq_summary dlq_reasons dlq_errors: `dlq groups`",
    "dlq_show dlq_inspect dlq_get dlq_view dlq_info dlq_describe: `show {id}`",
    "dlq_logs dlq_log: `logs {id}`",
    "dlq_ls dlq_all dlq_jobs dlq_export: `dlq list`, with --json for programs",
    "lock_release lock_acquire lock_take lock_free: it is held by the job that runs: `add --lock KEY \"COMMAND\"`",
    "dlq_requeue dlq_replay dlq_reprocess dlq_restore dlq_rerun dlq_recover dlq_redrive dlq_resurrect:"
    " `dlq retry {id}`",
    "dlq_retryall dlq_requeueall: `dlq retry --all`",
    "dlq_add dlq_move dlq_push: a job comes there by itself once its retries are used up: `dlq list`",
    "config_reset config_delete config_remove config_rm config_clear config_default config_defaults config_restore"
    " config_del: `config unset {key}` goes back to a default",
    "config_ls config_all config_dump config_print config_display config_view config_cat config_path config_export"
    " config_read: `config get`",
    "config_edit config_change config_update config_modify config_add config_put config_write:"
    " `config set {key} {value}`",
    "config_init config_create: `config set {key} {value}` makes the file",
    "queue_size queue_length queue_count queue_info queue_stats queue_ls queue_all: `queue list`; all jobs: `status`",
    "queue_create queue_add queue_new queue_make: `queue set {id}` makes a queue",
    "queue_delete queue_rm queue_del queue_drop: `queue remove {id}`",
    "queue_clear queue_purge queue_flush queue_drain queue_empty: `cancel --queue {id}` takes out what waits in it",
    'schedule_add schedule_create schedule_new: `schedule set NAME "17 3 * * *" "COMMAND"`',
    "schedule_delete schedule_rm schedule_del schedule_stop: `schedule remove {id}`",
    "schedule_ls schedule_status schedule_all: `schedule list`",
    "schedule_disable: `schedule pause {id}`",
    "schedule_enable schedule_start: `schedule resume {id}`",
    "schedule_trigger schedule_now: `schedule run {id}`",
    "schedule_export: `schedule list --json`",
    "db_init: `initdb`",
    "db_path: `config get db_path`",
)
CONTAINERS = ("job", "jobs", "task", "tasks", "item", "queue", "system", "db")  # `job show ID` is `show ID`

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
    "at when startat scheduledat eta runafter: `add --run-at TIME \"COMMAND\"`",
    "in runin countdown delayseconds: `add --delay 10m \"COMMAND\"`",
    "dependson depends requires needs dependency: `add --after ID \"COMMAND\"`",
    "dir workdir workingdir workingdirectory chdir directory: `add --cwd DIR \"COMMAND\"`",
    "environment e setenv: `add --env NAME=VALUE \"COMMAND\"`",
    "label labels category tags group: --tag, as in `add --tag NAME \"COMMAND\"`",
    "uniquekey dedupe dedup idempotencykey key: `add --unique KEY \"COMMAND\"`",
    'cron every repeat recurring period: `schedule set NAME "every 15m" "COMMAND"`',
    "retrydelay retryinterval backoffbase backofffactor: `add --backoff fixed:30s \"COMMAND\"`",
    "timelimit maxruntime maxtime deadline timeoutseconds t: `add --timeout 10m \"COMMAND\"`",
    "dry simulate whatif preview: --dry-run, for what changes jobs",
    "silent s q: --quiet, for what adds or changes jobs",
    "v: `--version` prints the version",
    "verbose: nothing more is told, so it is left out: `{command}`",
    "watch: `top` shows it live; `wait` tells how far it is until all jobs are final",
    "format output o: `{command} --json` prints JSON",
    "status filter: --state, as in `list --state failed`",
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
OF_PRUNE: Answers = each("days age before d olderthandays: `prune --older-than 7d`")
OF_STOP: Answers = each(
    "force f kill immediate hard 9: `worker stop --now` ends running jobs and gives them back",
    "graceful wait soft: that is what it does: `worker stop`",
    "all: that is what it does: `worker stop`",
    "id name pid pidfile worker n count: it stops every supervisor of this queue, by no name: `worker stop`",
)
OF_DLQ: Answers = each(
    "olderthan before age days: `prune --state dead --older-than 7d`",
    "clear empty purge: `dlq purge`",
    "n num top max tail lines: `dlq list --limit {n}`",
    "count: `status` counts the dead",
)
OF_LISTS: Answers = each(
    "s status st filter: `list --state STATE`",
    "running active: `list --state processing`",
    "pending failed dead completed cancelled: `list --state {option}`",
    "done success: `list --state completed`",
    "n num count top max lines tail: `list --limit {n}`",
    "l long v verbose: `show ID` shows all of a job, `list --json` of each",
    "search grep q command name: `list --match TEXT`",
    "a: `list --all`",
)
OF_TOP: Answers = each(
    "b batch n iterations count 1: `top --once` prints it once, `top | cat` again and again",
    "d delay s secs seconds refresh i: `top --interval {n}`",
    "filter search match q: the key / within it, or `list --match TEXT`",
)
OF_LOGS: Answers = each(
    "stdout out o: `logs ID 2> FILE` keeps stderr away",
    "err e: `logs --stderr ID`",
    "n tail lines num: `logs ID | tail -n {n}`",
    "a: `logs --attempt N ID`",
)
OF_CONFIG: Answers = each(
    "all list show: `config get` prints all settings",
    "key k value v: key and value stand without options: `config set KEY VALUE`",
    "reset unset default: `config unset KEY`",
)
OF_ENQUEUE: Answers = each(
    "f i input from json jobs data: `enqueue --file FILE` reads JSON, `enqueue -` standard input",
)
# By the first words of a command; the longest that fits is asked first.
OPTION_OF: Dict[str, Answers] = {
    "run": OF_RUN,
    "worker stop": OF_STOP,
    "worker list": OF_WORKER_LIST,
    "worker": OF_WORKER,
    "pause": OF_PAUSE,
    "resume": OF_PAUSE,
    "prune": OF_PRUNE,
    "cron": OF_CRON,
    "dlq": OF_DLQ,
    "list": OF_LISTS,
    "top": OF_TOP,
    "logs": OF_LOGS,
    "config": OF_CONFIG,
    "enqueue": OF_ENQUEUE,
}
# What deletes, ends or puts back: never named for being alike.
SHUNNED = (
    *("cancel", "requeue", "prune", "dlq retry", "dlq purge", "worker stop", "schedule remove", "queue remove"),
    *("lock unset", "config unset", "edit", "schedule load"),
)
SHUNNED_OPTIONS = ("--all", "--now", "--cancel", "--only", "--any-state", "--replace", "--no-after", "--unset-env")
# A word too many, by command.
SURPLUS: Answers = {
    "status": "`status` counts all jobs; one of them: `show {id}`",
    "worker stop": "it stops every supervisor of this queue, by no name: `worker stop`",
    "worker list": "it lists all of them: `worker list`",
    "config get": "one key, or none for all: `config get`",
    "config set": 'one key and one value, in quotes where it has blanks: `config set {key} "VALUE"`',
    "report": "the file goes behind -o: `report -o {id}`",
    "check": "`check` looks at the whole queue; at one job: `why {id}`",
    "initdb": "it takes no words: `initdb`; another place: `--home DIR`",
    "doctor": "it takes no words: `doctor`; another place: `--home DIR`",
    "cron": "a number goes behind --count: `cron --count {n}`",
}
