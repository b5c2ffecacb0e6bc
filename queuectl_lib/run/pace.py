"""How much, how often, how long: the numbers that supervisors and workers go by."""

from __future__ import annotations

BATCH_MOST = 32  # jobs that one worker claims ahead at the most
AHEAD_SECONDS = 0.05  # what it claims ahead it expects to run within this time
QUICK_SECONDS = 0.02  # a job that takes longer has the rest given back
TICK_SECONDS = 0.25  # how often a busy worker looks at requests
SUPERVISOR_TICK_SECONDS = 0.5  # the same for a supervisor, whom signals and dying workers wake at once
ADOPTED_TICK_SECONDS = 0.1  # how often a job that is nobody's child is looked at
LOOK_AROUND_SECONDS = 1.0  # how often cancels and orphans are looked for
LOOKS_PER_SECOND = 4  # that all workers of a supervisor together take at the most, while their jobs are short
SETTLED_SECONDS = 3.0  # how long files must have been at rest before their times are trusted
FRESH_SECONDS = 10.0  # how long an answer of the database counts at the most
SHORT_LIFE_SECONDS = 1.0  # a worker that dies sooner is replaced after a pause, not in a spin
BOOT_FAILURES = 3  # workers that die before they began, in a row, that stop the supervisor
TROUBLE_SECONDS = 5.0  # longest pause between two tries while the database refuses
WINDOWS_WAITS = 60  # of how many workers Windows can tell the end at once (63, less some)
