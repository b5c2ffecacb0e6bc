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


EDIT = "`edit {id} --priority {value}`, or another option of it"
DELETE = "`cancel {id}` takes a job out of the queue, `prune {id}` deletes it then; a dead one: `dlq purge {id}`"
ADD = "`add {text}` enqueues a command"
PUT_BACK = "`requeue {id}` runs it again"
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
    "retry redo again replay restart reenqueue retryall: %s; all that is dead: `dlq retry --all`" % PUT_BACK,
    "rerun repeat: %s" % PUT_BACK,
    "start work begin consume up process: `worker start` runs what waits",
    "exec execute: `run {text}` runs it as a job and prints its output, `add {text}` does not wait for it",
    "submit push create new put insert append enqueu task spawn dispatch addjob: " + ADD,
    "call send applyasync tsp ts nq nohup: " + ADD,
    "sbatch bsub qsub: `add \"sh {script}\"` enqueues a script",
    "srun: `add --wait {text}` runs it and waits for its end",
    "get_jobs get_tasks show_jobs list_jobs describe_jobs: `list`",
    "stash qhold bstop: `hold {id}`",
    "qrls bresume unstash: `release {id}`",
    "bpeek err trace fetch: `logs {id}`",
    "seff sstat bhist: `show {id}`",
    "beat: `schedule list`",
    "startup boot autostart: `cron` prints crontab lines that keep workers running",
    "apply: `enqueue --file FILE` takes JSON",
    "killall cancelall: `cancel --all` takes out what waits or runs; --dry-run shows it first",
    "scancel qdel bkill atrm dequeue revoke: `cancel {id}`",
    "squeue qstat bjobs atq: `list`",
    "sacct: `list --last 20`, `stats` by kind",
    "sinfo: `worker list`, and `status`",
    "scontrol: `show {id}`, `hold {id}`, `release {id}`",
    "scontrol_hold: `hold {id}`",
    "scontrol_release: `release {id}`",
    "scontrol_show: `show ID`",
    "scontrol_requeue: `requeue {id}`",
    "scontrol_update: " + EDIT,
    "fq: `logs -f {id}`",
    "parallel xargs map: `enqueue --lines FILE` adds a job for each line, `worker start --count 4 --drain` runs them",
    "scale resize: `worker stop`, then `worker start --count {n}`",
    "move mv: `edit {id} --queue {name}`",
    "clone duplicate copy cp dup: `rerun {id}` adds it again, as a new job",
    "snooze postpone: `edit {id} --delay 10m`; from within the job: `say snooze 10m`",
    "enable: `resume QUEUE`, or `schedule resume NAME`; to start workers after a boot: `cron`",
    "disable: `pause QUEUE`, or `schedule pause NAME`",
    "isactive isenabled: `worker list`; `check` ends with 0 where all is well",
    "reload: `worker stop`, then `worker start`; most settings are read for each job anew",
    "journal journalctl syslog: `logs {id}`; what workers say is in worker.log, whose folder `status` tells",
    "daemon background bg: `worker start --background`",
    "workers: `worker list`",
    "ls jobs ll all tasks queues: `list` lists jobs, `queue list` queues",
    "ps active processes: `status` says what there is, `top` shows it live, `list --state processing` what runs",
    "htop live: `top`",
    "dashboard web ui gui monitor monit server serve panel webui admin page html plot plots graph chart: " + NO_PAGE,
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
    "dump backup: `list --json` prints jobs as `enqueue -` reads them",
    "import load batch bulk: `enqueue --file FILE` takes JSON",
    "update modify change alter: " + EDIT,
    "reschedule: `edit {id} --run-at TIME`",
    "priority prioritize prio nice renice reprioritize: `edit {id} --priority {value}`",
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
    "worker_add worker_new: `worker start --count {n}` starts as many more",
    "worker_scale worker_set worker_resize: `worker stop`, then `worker start --count {n}`",
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

# What deletes, ends or puts back: never named for being alike.
SHUNNED = (
    *("cancel", "requeue", "prune", "dlq retry", "dlq purge", "worker stop", "schedule remove", "queue remove"),
    *("lock unset", "config unset", "edit", "schedule load"),
)
SHUNNED_OPTIONS = ("--all", "--now", "--cancel", "--only", "--any-state", "--replace", "--no-after", "--unset-env")
# A word too many, by command.
SURPLUS: Answers = {
    "status": "one job: `show {id}`; to count those with a tag: `status --tag {id}`",
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
