"""What one can type: one table of all commands, and a room for each or for a few siblings.

`main` finds the words of a call in the table, and loads that one room. There the function that
does it stands below its arguments (frame.command). A new command is a row here and a room.
"""

# In the order of the overview: words, room, what it does.
COMMANDS = {
    "add": ("add", "enqueue one shell command line, or after -- a program with its arguments"),
    "run": ("run", "enqueue one command, print its output as it comes, and exit with its exit code"),
    "enqueue": ("enqueue", "enqueue many jobs, all or none: from JSON, or with --lines from a list of commands"),
    "list": ("list", "list jobs, newest last"),
    "show": ("show", "show a job, a table of its attempts, and the end of its output; with --all everything"),
    "why": ("why", "say in one sentence why a job waits or failed, or what the queue does, and what to type"),
    "logs": ("logs", "print the output of a job: its stdout on stdout, its stderr on stderr"),
    "results": ("results", "print what became of many jobs, and what they printed, in one call"),
    "wait": ("wait", "wait until jobs are final (- reads ids); exit 0 if all completed, 1 if not, 124 on timeout"),
    "say": ("say", "tell the worker, from within a job: snooze, dead, ok, signature, progress, result or extend"),
    "status": ("status", "show how many jobs are in each state, and who works"),
    "top": ("top", "show what runs, failed, comes and ended on a screen that lives; keys act on a job"),
    "stats": ("stats", "show how often each kind of job ran and failed, and how long it takes"),
    "report": ("report", "make a page for a browser: what the queue has done and does, in plots and tables"),
    "check": ("check", "say what is wrong, and nothing when all is well: exit 1 or 0; for cron, which mails it"),
    "events": ("events", "print each attempt that ended as a line of JSON; go on behind the last one, or follow"),
    "joblog": ("joblog", "write what has ended as a job log of GNU parallel, or with more columns"),
    "metrics": ("metrics", "write metrics for Prometheus, as the textfile collector of node_exporter reads them"),
    "hook": ("hook", "show who is told of dead jobs and more, and how far; try it, or tell it now"),
    "cancel": ("cancel", "take jobs out; a running one is ended with its whole process tree"),
    "requeue": ("cancel", "run dead, cancelled or failed jobs again; failed ones at once, with the attempts they had"),
    "rerun": ("rerun", "add jobs that have ended again, as new ones with the same fields"),
    "export": ("export", "write waiting jobs as scripts for Slurm, GNU parallel or sh, and with --take give them away"),
    "hold": ("hold", "keep waiting jobs from starting until they are released; their place is kept"),
    "release": ("hold", "let held jobs start again"),
    "edit": ("edit", "change jobs that wait; what has started or ended keeps what it was started with"),
    "dlq list": ("dlq", "list the dead letter queue"),
    "dlq groups": ("dlq_groups", "list what the dead died of: jobs with like errors together"),
    "dlq retry": ("dlq", "put dead jobs back into the queue"),
    "dlq purge": ("dlq", "delete all dead jobs and their output"),
    "prune": ("dlq", "delete finished jobs and their output, and give the space back"),
    "schedule set": ("schedule", "enqueue a command again and again: a cron line, or every so often"),
    "schedule list": ("schedule", "list schedules: when each is due next, and how its last job ended"),
    "schedule show": ("schedule", "show one schedule in full"),
    "schedule next": ("schedule", "print when schedules are due next, by their clock and in UTC"),
    "schedule pause": ("schedule", "make no more jobs of these; what comes meanwhile is not missed"),
    "schedule resume": ("schedule", "go on with paused schedules, from their next time on"),
    "schedule run": ("schedule", "enqueue a job of a schedule now, beside its times"),
    "schedule remove": ("schedule", "forget schedules; their waiting jobs stay"),
    "schedule load": ("schedule", "set schedules from JSON, all or none"),
    "schedule import": ("schedule_import", "take a crontab over, paused until you resume what came of it"),
    "worker": ("worker", "short for worker start"),
    "worker start": ("worker", "start workers; Ctrl+C finishes running jobs, a second one ends them"),
    "worker stop": ("worker", "stop every supervisor of this queue: finish what runs, take nothing new"),
    "worker list": ("worker", "list supervisors and workers, and what they run"),
    "queue set": ("queue", "make a queue, or change its limit, rate, windows and gates"),
    "queue list": ("queue", "list the queues: how many of each are due and run, and why one is closed"),
    "queue show": ("queue", "show one queue in full"),
    "queue remove": ("queue", "remove a queue that has no jobs"),
    "pause": ("queue", "let nothing start, in some queues or in all; what runs finishes"),
    "resume": ("queue", "let jobs of these queues start again"),
    "lock list": ("lock", "list the locks: who holds them, and how many jobs are parked for each"),
    "lock set": ("lock", "let N jobs with the same lock run at a time"),
    "lock unset": ("lock", "let one at a time run again"),
    "config get": ("config", "print settings; `config list` and `config show` are the same"),
    "config set": ("config", "change a setting"),
    "config unset": ("config", "go back to the default of a setting"),
    "initdb": ("config", "create the database now rather than at first use"),
    "cron": ("cron", "print crontab lines (on Windows schtasks commands) that keep workers running"),
    "completion": ("completion", "print a script that completes queuectl for bash, zsh, fish or PowerShell"),
    "manual": ("manual", "print the manual as roff, for man"),
    "doctor": ("doctor", "prove in a few seconds that this host can run the queue; exit 1 where it cannot"),
}

# Other words for a command, as other programs have them, or the word of a family alone. (`help COMMAND` is
# `COMMAND --help`.)
ALIASES = {"config": "config get", "config list": "config get", "config show": "config get"}

# Families of which the overview says a line, so that it stays on one screen; `FAMILY --help` has one for each.
FAMILIES = {
    "dlq": "the dead letter queue, by what they died of",
    "schedule": "jobs that are made again and again",
    "queue": "classes of jobs, with limits, rates, windows and gates",
    "lock": "jobs of which so many may run at a time",
    "config": "settings",
}
