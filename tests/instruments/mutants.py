#!/usr/bin/env python3
"""mutants: plant a fault into a copy of the product, and see which test notices.

    python3 tests/instruments/mutants.py [--only WORD] [--jobs N]

Each mutant is one broken promise: a textual replacement that must match exactly once (so
none goes stale unseen), made in a fresh copy in a temporary directory, and the few checks
that must fail there. First the same checks run on an unharmed copy, where they must pass:
a check that always fails catches nothing.

Exit code: 0 every mutant was caught, 1 one survived, 2 the run itself failed.
"""

import argparse
import concurrent.futures
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COPIED = ("queuectl.py", "storage.py", "worker.py", "queuectl_lib", "config.json", "README.md", "docs", "tests")
PYTEST = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
UNNOTICED = ("passed", "skipped", "no such check")
LIMIT_SECONDS = 120  # a check that takes longer has noticed, too: something hangs
ALL_SECONDS = 900  # all checks on the unharmed copy


class Mutant:
    """One fault: the promise it breaks, what is replaced where, and who must notice."""

    def __init__(self, name, promise, edits, *checks):
        self.name = name
        self.promise = promise
        self.edits = edits  # (file, old, new)
        self.checks = checks  # pytest node ids below tests/

    def plant(self, folder):
        for name, old, new in self.edits:
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as file:
                text = file.read()
            if text.count(old) != 1:
                raise SystemExit("mutant %r is stale: %r is %d times in %s" % (self.name, old, text.count(old), name))
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace(old, new))


PROMOTE_EARLIEST = (
    "        earliest = [(row[0],) for row in connection.execute(SOME_FALLEN_DUE, (now_text, CROWD))]\n"
    "        connection.executemany(PROMOTE_ONE, earliest)\n"
)
SIMULATION = "store/test_simulation.py::test_workers_that_die_between_any_two_calls_leave_the_queue_as_it_must_be"

MUTANTS = [
    Mutant(
        "words to people stand beside an error",
        "with --json an error is one object on standard error, and no line stands beside it",
        [
            (
                "queuectl_lib/commands/terminal.py",
                "    if notes is not None:\n        notes.append(text)\n        return\n",
                "",
            )
        ],
        "commands/test_json_errors.py::test_what_was_to_be_said_before_an_error_is_a_part_of_it",
    ),
    Mutant(
        "a refusal of argparse is plain text",
        "with --json an error is an object, also that of a mistyped option",
        [
            (
                "queuectl_lib/commands/main.py",
                'terminal.speak_to_a_program("--json" in (words[: words.index("--")] if "--" in words else words))',
                "pass",
            )
        ],
        "commands/test_json_errors.py::test_an_error_has_its_code_and_its_exit_code",
    ),
    Mutant(
        "a file of results takes the place of another",
        "`results -o` overwrites nothing that is there, and follows no link",
        [
            ("queuectl_lib/host/new_files.py", "    if not replaces and files.is_there(path):\n", "    if False:\n"),
            ("queuectl_lib/host/new_files.py", "os.link(partial, path)", "os.replace(partial, path)"),
        ],
        "commands/test_results.py::test_each_job_has_a_file_and_what_is_there_stays",
    ),
    Mutant(
        "an id that is a path names a file",
        "an id that somebody has made a path is harmless in `results -o`",
        [("queuectl_lib/host/new_files.py", '        return "%%job-%d" % number\n', "        return name\n")],
        "commands/test_results.py::test_damaged_rows_make_no_path_and_no_trouble",
    ),
    Mutant(
        "a spreadsheet computes a cell",
        "what a spreadsheet would compute stands behind an apostrophe",
        [("queuectl_lib/commands/cells.py", '                yield "\'"\n', '                yield ""\n')],
        "commands/test_results.py::test_a_cell_is_one_line_and_nothing_in_it_acts",
    ),
    Mutant(
        "results hold a transaction while they are printed",
        "no writer waits for the reader of `results`",
        [
            (
                "queuectl_lib/store/results.py",
                "        known = [rows[seq] for seq in some if seq in rows]\n",
                "        known = [rows[seq] for seq in some if seq in rows]\n"
                "        hand = database.gate()\n        hand.__enter__()\n",
            )
        ],
        "commands/test_results.py::test_pages_have_all_of_it_and_no_writer_waits",
    ),
    Mutant(
        "a job that was there counts as added",
        "`add --unique --json` says whether it has added",
        [("queuectl_lib/commands/add.py", "added=not isinstance(identifier, Holder)", "added=True")],
        "commands/test_json_answers.py::test_a_job_that_was_there_by_its_key_was_not_added",
    ),
    Mutant(
        "a worker takes what it needs late from whatever files are there then",
        3,
        [("queuectl_lib/host/loading.py", "if name in cls.noted and", "if False and")],
        "promises/test_replacing.py::test_a_worker_that_needs_more_of_its_files_takes_none_of_another_build",
    ),
    Mutant(
        "the limit of a queue is not counted",
        27,
        [
            (
                "queuectl_lib/store/eligible.py",
                "    running = running_in(connection)\n",
                "    running: Dict[int, int] = {}\n",
            )
        ],
        "store/test_queues.py::test_never_more_run_than_the_limit_and_others_go_by",
        "store/test_locking.py::test_eight_that_claim_never_exceed_a_lock_or_a_limit_and_leave_nothing",
    ),
    Mutant(
        "a lock is not freed when its job ends",
        27,
        [("queuectl_lib/store/aftermath.py", "    give_up_lock,\n", "")],
        "store/test_locking.py::test_however_it_ends_the_lock_is_free",
        "run/test_queues_served.py::test_a_place_that_comes_free_is_not_left_beside_a_job_that_waits_for_it",
    ),
    Mutant(
        "a job with a lock is claimed ahead",
        27,
        [
            (
                "queuectl_lib/store/claiming.py",
                ' and (line.starts_now or row["lock_key"] is not None):',
                " and line.starts_now:",
            )
        ],
        "store/test_locking.py::test_a_locked_job_is_claimed_first_or_not_at_all",
    ),
    Mutant(
        "the ring of a rate is one too long",
        27,
        [("queuectl_lib/store/rates.py", '% int(row["rate_count"])', '% (int(row["rate_count"]) + 1)')],
        "store/test_rates.py::test_n_start_in_a_span_and_the_next_when_the_first_is_older_than_it",
        "store/test_rates.py::test_there_is_no_seam_at_which_twice_as_many_start",
    ),
    Mutant(
        "a clock that was put back keeps a rate shut until it has caught up",
        21,
        [("queuectl_lib/store/rates.py", "oldest > now + FUTURE_SECONDS:", "oldest > float('inf'):")],
        "store/test_rates.py::test_a_clock_put_back_a_day_is_waited_for_once",
    ),
    Mutant(
        "a paused queue is asked",
        28,
        [("queuectl_lib/store/eligible.py", "    if is_paused(row, now):", "    if False:")],
        "store/test_queues.py::test_nothing_of_a_paused_queue_starts_what_runs_ends_and_retries_wait",
        "run/test_queues_served.py::test_a_drain_ends_though_its_queue_is_paused_and_others_have_work",
    ),
    Mutant(
        "a lock that comes free is given to the first queue only",
        27,
        [
            (
                "queuectl_lib/store/locking.py",
                "            freed += connection.execute(UNPARK, (row[0],)).rowcount\n    return",
                "            freed += connection.execute(UNPARK, (row[0],)).rowcount\n        break\n    return",
            )
        ],
        "store/test_locking.py::test_the_best_of_each_queue_is_freed_for_that_of_one_may_not_start",
        "store/test_locking.py::test_what_is_freed_in_a_paused_queue_is_parked_again_when_it_is_resumed",
    ),
    Mutant(
        "a held job is claimed",
        27,
        [("queuectl_lib/store/placing.py", "IS NOT NULL THEN 3", "IS NOT NULL THEN 0")],
        "store/test_editing.py::test_a_hold_keeps_due_time_attempts_and_place",
        "store/test_editing.py::test_a_held_job_stays_held_whatever_the_clock_does",
        "commands/test_hold.py::test_a_held_job_does_not_start_until_it_is_released",
    ),
    Mutant(
        "an edit changes a job that has started meanwhile",
        4,
        [
            (
                "queuectl_lib/store/editing.py",
                " WHERE seq = ? AND state IN ('pending', 'failed')",
                " WHERE seq = ?",
            )
        ],
        "store/test_editing.py::test_a_job_that_is_claimed_between_reading_and_writing_keeps_what_it_was_started_with",
    ),
    Mutant(
        "a selector's change forgets its guard",
        27,
        [("queuectl_lib/store/cancelling.py", "if state not in self.guard or (", 'if state == "completed" or (')],
        "store/test_selecting.py::test_one_that_was_to_wait_only_is_not_cancelled_once_it_runs",
    ),
    Mutant(
        "a result that a trigger refuses holds up all others",
        4,
        [
            (
                "queuectl_lib/run/refusals.py",
                "            if not outcomes:\n                raise\n",
                "            raise\n",
            )
        ],
        "promises/test_damaged_rows.py::test_outcomes_are_recorded_although_nothing_can_be_claimed",
    ),
    Mutant(
        "a token from the database is taken for a path",
        17,
        [("queuectl_lib/store/folder.py", "token if is_token(token) else NO_TOKEN", "token")],
        "promises/test_outside.py::test_a_token_is_sixteen_digits_or_none",
    ),
    Mutant(
        "only the home itself is looked at, not the way to it",
        17,
        [
            (
                "queuectl_lib/host/trust.py",
                "            if left:\n                self.refuse(step, info, on_the_way=True)\n",
                "",
            )
        ],
        "promises/test_trust.py::test_nobody_works_in_a_home_that_others_could_swap",
        "promises/test_trust.py::test_a_link_is_judged_by_each_step_that_it_leads_over",
    ),
    Mutant(
        "the id is printed before the commit",
        1,
        [
            (
                "queuectl_lib/commands/add.py",
                "    identifier = job.enqueue(queue)\n",
                '    terminal.print_text(str(job.row[0]) + "\\n")\n'
                "    sys.stdout.flush()\n    identifier = job.enqueue(queue)\n",
            )
        ],
        "promises/test_failpoints.py::test_an_enqueue_killed_around_its_commit_is_whole_or_not_at_all",
    ),
    Mutant(
        "commits are not synced",
        1,
        [("queuectl_lib/store/opening.py", "PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL")],
        "promises/test_faults.py::test_the_id_is_printed_after_its_commit_is_on_the_disk",
    ),
    Mutant(
        "Ctrl+C during the commit denies what was done",
        2,
        [
            (
                "queuectl_lib/store/database.py",
                "                        with interrupts.held():\n",
                "                        if True:\n",
            )
        ],
        "promises/test_interrupting.py::test_an_add_interrupted_behind_its_commit_prints_its_id",
    ),
    Mutant(
        "what was held back is never let go",
        2,
        [("queuectl_lib/commands/terminal.py", "    try:\n        interrupts.let_be_told()\n", "    try:\n")],
        "promises/test_interrupting.py::test_what_cannot_be_printed_since_nobody_reads_can_still_be_interrupted_and_is_told",
    ),
    Mutant(
        "nobody looks for room for the WAL index",
        13,
        [
            (
                "queuectl_lib/store/index_room.py",
                "        self.is_safe = block >= PAGE and",
                "        self.is_safe = True or",
            )
        ],
        "promises/test_full_disks.py::test_a_call_on_a_full_disk_says_so_however_little_is_left",
    ),
    Mutant(
        "a row that cannot be read is handed to a worker",
        6,
        [
            (
                "queuectl_lib/store/claiming.py",
                "        why = attempts.what_is_wrong(fields)\n",
                "        why = None\n",
            )
        ],
        "promises/test_damaged_rows.py::test_a_row_that_cannot_be_read_is_set_aside_with_a_word_and_all_others_are_claimed",
    ),
    Mutant(
        "what is in the place of an output file is opened whatever it is",
        10,
        [
            ("queuectl_lib/run/output_files.py", "    if not stat.S_ISREG(info.st_mode):", "    if False:"),
            (
                "queuectl_lib/run/output_files.py",
                "    except OSError:\n        return None, size",
                "    except ValueError:\n        return None, size",
            ),
        ],
        "promises/test_damaged_rows.py::test_output_files_that_a_job_has_made_into_something_else_hold_up_nobody",
    ),
    Mutant(
        "the copy of a life file, which nobody can hold, proves a death",
        25,
        [("queuectl_lib/store/presence.py", " and not is_copied(self.folder, name):", ":")],
        "promises/test_vanishing.py::test_a_folder_that_was_put_back_as_a_copy_gives_no_running_job_away",
    ),
    Mutant(
        "what runs leaves no notes anew where they were swept away",
        25,
        [("worker.py", "            self.slots.keep_notes()\n", "")],
        "promises/test_vanishing.py::test_a_job_whose_files_were_swept_counts_as_lost_once_its_worker_is_killed_too",
    ),
    Mutant(
        "another user's rollback journal is not looked at",
        17,
        [("queuectl_lib/store/database.py", '("", *opening.BESIDE)', '("", "-wal", "-shm")')],
        "promises/test_trust.py::test_a_journal_of_a_neighbour_is_not_played_back",
    ),
    Mutant(
        "a claim never reaches the disk by itself",
        6,
        [("worker.py", "        self.queue.database.catch_up()\n", "")],
        "run/test_syncing.py::test_a_claim_without_results_is_synced_when_its_job_has_been_started",
    ),
    Mutant(
        "a batch is committed in two parts",
        2,
        [
            (
                "queuectl_lib/store/bulk.py",
                "        added = insert_rows(connection)\n",
                '        added = connection.execute(INSERT_ALL + " LIMIT 1").rowcount\n'
                '        connection.execute("COMMIT")\n'
                '        connection.execute("BEGIN IMMEDIATE")\n'
                '        added += connection.execute(INSERT_ALL + " LIMIT -1 OFFSET 1").rowcount\n',
            )
        ],
        "promises/test_failpoints.py::test_an_enqueue_killed_around_its_commit_is_whole_or_not_at_all",
    ),
    Mutant(
        "a large batch puts the counting aside for everybody",
        2,
        [
            (
                "queuectl_lib/store/bulk.py",
                "    connection.execute(DROP_COUNTING)\n",
                "    connection.execute(DROP_COUNTING)\n"
                '    connection.execute("COMMIT")\n'
                '    connection.execute("BEGIN IMMEDIATE")\n',
            )
        ],
        "promises/test_failpoints.py::"
        "test_an_enqueue_killed_while_its_jobs_are_counted_at_once_leaves_the_counting_as_it_was",
    ),
    Mutant(
        "a finishing write need not own its claim",
        4,
        [
            (
                "queuectl_lib/store/ending.py",
                'OWN_CLAIM = " WHERE seq = ? AND token = ? AND',
                'OWN_CLAIM = " WHERE seq = ? AND (token = ? OR 1) AND',
            )
        ],
        SIMULATION,
    ),
    Mutant(
        "a claim can be adopted twice",
        5,
        [("storage.py", "AND CAST(worker AS BLOB) IS CAST(? AS BLOB)", "AND (CAST(worker AS BLOB) IS ? OR 1)")],
        "store/test_claiming.py::test_a_claim_is_adopted_only_once",
    ),
    Mutant(
        "a claim takes jobs that are not due",
        5,
        [
            (
                "queuectl_lib/store/due_jobs.py",
                'FROM jobs INDEXED BY jobs_due"\n    " WHERE queue = ? AND lane = 0 ORDER',
                'FROM jobs"\n    " WHERE queue = ? AND lane >= 0 ORDER',
            )
        ],
        SIMULATION,
    ),
    Mutant(
        "claims read before they lock",
        5,
        [
            (
                "queuectl_lib/store/claiming.py",
                "\n\ndef claim_due(\n",
                "\n\nEARLY = []\n\n\ndef claim_due(\n",
            ),
            (
                "storage.py",
                "import claiming, ending, looking, serving  # no enqueue needs them; a worker has them\n",
                "import claiming, due_jobs, ending, looking, serving\n\n"
                "        with self.database.reading() as connection:\n"
                "            claiming.EARLY[:] = connection.execute(due_jobs.FIND_DUE, (0, want + 1)).fetchall()\n",
            ),
            (
                "queuectl_lib/store/claiming.py",
                "    due = DueJobs(connection, lines, want)\n    if due.best()",
                "    due = DueJobs(connection, lines, want)\n    due.left, due.is_all = {0: EARLY[::-1]}, {0}\n"
                "    if due.best()",
            ),
        ],
        "store/test_claiming.py::test_eight_processes_that_claim_at_once_get_every_job_exactly_once",
    ),
    Mutant(
        "the life file is not locked",
        5,
        [
            (
                "queuectl_lib/host/locks.py",
                "if try_lock(fd) and is_still_there(path, fd):",
                "if is_still_there(path, fd):",
            )
        ],
        "promises/test_recovery.py::test_the_claim_of_a_worker_that_lives_is_never_taken",
    ),
    Mutant(
        "a job inherits the life lock of its worker",
        5,
        [
            (
                "queuectl_lib/store/presence.py",
                "        os.lseek(self.fd, 0, os.SEEK_SET)\n",
                "        os.lseek(self.fd, 0, os.SEEK_SET)\n"
                "        os.set_inheritable(os.dup(os.dup(self.fd)), True)\n",  # the watcher uses some itself
            )
        ],
        "run/test_running.py::test_a_job_holds_nothing_open_but_its_output_and_its_lock",
    ),
    Mutant(
        "a worker is judged dead by the age of its file",
        5,
        [
            (
                "queuectl_lib/host/locks.py",
                "        return not try_lock(fd, shared=True) or is_locked_apart(fd)\n",
                "        return time.time() - os.fstat(fd).st_mtime < 0.5\n",
            )
        ],
        "promises/test_recovery.py::test_the_job_of_a_paused_worker_waits_for_it_and_runs_once",
        "promises/test_recovery.py::test_the_claim_of_a_worker_that_lives_is_never_taken",
    ),
    Mutant(
        "no access counts as a death",
        5,
        [
            (
                "queuectl_lib/host/locks.py",
                "if files.is_irregular(path) else None  #",
                "if files.is_irregular(path) else False  #",
            )
        ],
        "promises/test_recovery.py::test_without_access_to_the_evidence_nobody_is_taken_for_dead",
    ),
    Mutant(
        "the job's tree does not inherit the run lock",
        5,
        [
            (
                "queuectl_lib/run/attempt.py",
                "[self.lock.fd, *ends",
                "[self.lock.notes, *ends",
            )
        ],
        "run/test_running.py::test_a_job_holds_the_lock_of_its_run_file_and_cannot_write_there",
    ),
    Mutant(
        "what an attempt left running is not ended before the next",
        5,
        [("queuectl_lib/run/attempt.py", "        concluding.end_leftovers(self.queue.folder, claim)\n", "")],
        "run/test_running.py::test_what_a_failed_attempt_left_running_is_named_left_alone_and_ended_before_the_next",
    ),
    Mutant(
        "a result that nobody saw is not collected",
        6,
        [
            (
                "queuectl_lib/run/attempt.py",
                "        self._read_code()  # it may have ended between the looks\n",
                "",
            ),
        ],
        "promises/test_recovery.py::test_jobs_that_finished_unseen_are_recorded_with_what_they_did",
    ),
    Mutant(
        "an adopted job forgets its timeout",
        6,
        [
            (
                "queuectl_lib/run/attempt.py",
                "        self.began = self._started_monotonic()\n        self.set_deadline(settings, self.began)\n",
                "        self.grace = settings.grace\n",
            )
        ],
        "promises/test_recovery.py::test_a_job_that_still_runs_is_adopted_and_its_timeout_still_holds",
    ),
    Mutant(
        "what a job writes of itself is believed",
        6,
        [("queuectl_lib/run/orphans.py", " if stop.is_told() else []", "")],
        "run/test_evidence.py::test_a_wish_that_costs_no_retry_is_believed_only_where_it_stands_elsewhere_too",
    ),
    Mutant(
        "an orphan is ended by whoever looks at it",
        5,
        [
            (
                "queuectl_lib/run/orphans.py",
                "        has_ended = orphan.judge() is not None\n",
                "        has_ended = (orphan.poll() or orphan.judge()) is not None\n",
            )
        ],
        "run/test_evidence.py::test_an_orphan_is_ended_and_recorded_only_by_who_holds_its_claim_and_to_the_end",
    ),
    Mutant(
        "a stop of everything is a failure of the job",
        8,
        [("queuectl_lib/run/interruption.py", "not in SIGNALS:", "not in ():")],
        "promises/test_interruption.py::test_what_a_signal_to_everything_at_once_ends_is_given_back",
    ),
    Mutant(
        "attempts are counted at the end",
        6,
        [
            (
                "queuectl_lib/store/claiming.py",
                "next_run_at = NULL, attempts = attempts + 1, runs = ?,",
                "next_run_at = NULL, runs = ?,",
            ),
            (
                "queuectl_lib/store/ending.py",
                '"UPDATE jobs SET state = ?, token = NULL, cancel',
                '"UPDATE jobs SET state = ?, attempts = attempts + 1, token = NULL, cancel',
            ),
            (
                "queuectl_lib/store/ending.py",
                "SET state = 'failed', token = NULL,",
                "SET state = 'failed', attempts = attempts + 1, token = NULL,",
            ),
            (
                "queuectl_lib/store/ending.py",
                "SET state = 'completed', token = NULL,",
                "SET state = 'completed', attempts = attempts + 1, token = NULL,",
            ),
            ("queuectl_lib/store/ending.py", "THEN max(attempts - 1, 0)", "THEN attempts"),
        ],
        SIMULATION,
    ),
    Mutant(
        "one retry too many",
        6,
        [
            (
                "queuectl_lib/jobs/retrying.py",
                "and claim.attempts <= claim.max_retries and",
                "and claim.attempts <= claim.max_retries + 1 and",
            )
        ],
        "jobs/test_retrying.py::test_a_job_with_n_retries_runs_n_plus_one_times",
    ),
    Mutant(
        "a job that was given back has lost a retry",
        8,
        [("queuectl_lib/store/ending.py", "THEN max(attempts - 1, 0)", "THEN attempts")],
        "store/test_claiming.py::test_giving_back_what_was_ended_keeps_the_attempt_but_burns_no_retry",
    ),
    Mutant(
        "workers outlive their supervisor",
        8,
        [("worker.py", " or not self.standing.sees(self.supervisor))", ")")],
        "promises/test_recovery.py::test_workers_of_a_killed_supervisor_keep_their_job_finish_it_and_leave",
    ),
    Mutant(
        "the wish to end a job is not written before TERM",
        9,
        [
            (
                "queuectl_lib/run/attempt.py",
                '        run_file.add_note(self.run_path, "end %s|%s" % (kind, error))\n',
                "",
            )
        ],
        "promises/test_failpoints.py::test_a_worker_killed_while_it_ends_a_job_leaves_the_ending_to_the_next",
    ),
    Mutant(
        "a pid is taken for a process",
        9,
        [
            ("queuectl_lib/host/tree_posix.py", "if pid in table and table[pid].start == start}", "if pid in table}"),
            (
                "queuectl_lib/host/processes.py",
                "        if process and process.start == start:\n",
                "        if process:\n",
            ),
        ],
        "promises/test_cancelling.py::test_a_process_that_has_the_pid_of_an_ended_one_is_never_signalled",
    ),
    Mutant(
        "only the process group is ended",
        9,
        [
            (
                "queuectl_lib/host/tree_posix.py",
                "if processes.has_proc():\n            found",
                "if False:\n            found",
            ),
            (
                "queuectl_lib/host/tree_posix.py",
                "        found = look.with_descendants(found) - {os.getpid()}\n",
                "",
            ),
        ],
        "promises/test_cancelling.py::test_a_timeout_ends_the_whole_tree",
    ),
    Mutant(
        "the watcher dies of the signal that ends its command",
        9,
        [("queuectl_lib/run/launching.py", "trap : HEEDED;", ": HEEDED;")],
        "promises/test_cancelling.py::test_a_cancelled_job_that_leaves_politely_is_cancelled_and_not_retried",
    ),
    Mutant(
        "a run file gets its new name before it tells of the new start",
        4,
        [
            (
                "queuectl_lib/run/spare_files.py",
                'os.write(fd, b"\\n" + start) > len(start)):\n                files.remove(spare)\n'
                "            else:\n                os.rename(spare, path)\n",
                "not os.rename(spare, path)):\n                files.remove(spare)\n"
                "            else:\n                os.write(fd, start)\n",
            )
        ],
        "run/test_reusing.py::test_before_a_run_file_gets_its_new_name_it_tells_of_a_new_start_and_of_nothing_earlier",
    ),
    Mutant(
        "the status of an earlier attempt counts for the one that has its file now",
        4,
        [
            (
                "queuectl_lib/run/run_file.py",
                "if start and start.group(3) == token:",
                "if start:",
            )
        ],
        "run/test_reusing.py::test_a_run_file_whose_new_start_was_lost_with_the_power_tells_nothing_of_the_new_attempt",
    ),
    Mutant(
        "a file that a grandchild still writes to serves the next job",
        10,
        [("queuectl_lib/run/spare_files.py", "files.is_open_here_only(fd) and files.is_as_made(fd, 0)", "True")],
        "run/test_reusing.py::test_what_an_unseen_grandchild_writes_late_reaches_no_other_job",
    ),
    Mutant(
        "an attempt ends with its output, not with its command",
        10,
        [
            (
                "queuectl_lib/run/attempt.py",
                "        outcome = self.conclude()\n",
                "        if self.is_held():\n            return None\n        outcome = self.conclude()\n",
            )
        ],
        "run/test_running.py::test_a_background_child_that_holds_the_output_does_not_keep_the_attempt_open",
    ),
    Mutant(
        "workers that cannot start are started for ever",
        11,
        [
            (
                "queuectl_lib/run/replacing.py",
                "self.failures >= pace.BOOT_FAILURES:",
                "self.failures >= 1000:",
            )
        ],
        "promises/test_recovery.py::test_a_python_that_cannot_start_children_stops_the_supervisor_with_a_reason",
    ),
    Mutant(
        "a shortage of a second ends a healthy supervisor",
        11,
        [("queuectl_lib/run/replacing.py", "        if self.was_ready:\n", "        if False:\n")],
        "promises/test_recovery.py::test_what_keeps_workers_from_starting_once_all_were_up_is_told_once_and_waited_for",
        "run/test_shortages.py::test_before_all_were_up_three_that_cannot_begin_are_the_end_and_later_they_are_waited_for",
    ),
    Mutant(
        "a log that nobody reads holds up the work",
        26,
        [("queuectl_lib/host/stream.py", "os.O_WRONLY | os.O_NONBLOCK |", "os.O_WRONLY |")],
        "run/test_log.py::test_a_stop_works_and_tells_the_truth_where_nobody_reads_the_log[fifo]",
    ),
    Mutant(
        "what jobs leave behind is reaped by nobody",
        10,
        [("queuectl_lib/run/chores.py", "LogTrimmer, Reaper, Scheduler)", "LogTrimmer, Scheduler)")],
        "run/test_reaping.py::test_a_supervisor_that_is_a_subreaper_reaps_what_jobs_leave_and_its_workers_as_ever",
    ),
    Mutant(
        "supervisors with a time limit pile up",
        28,
        [("queuectl_lib/run/places.py", "if not self.is_limited:", "if True:")],
        "run/test_ensuring.py::test_supervisors_with_a_max_time_do_not_pile_up_behind_long_jobs",
    ),
    Mutant(
        "supervisors with a time limit count without a lock",
        28,
        [("queuectl_lib/run/places.py", "        if all_up and found <= own:\n", "        if True:\n")],
        "run/test_ensuring.py::test_who_has_counted_lets_nobody_count_until_what_it_starts_is_up",
    ),
    Mutant(
        "a worker with a free slot does not hear the bell",
        8,
        [("worker.py", "self.bell if has_room else None", "None")],
        "run/test_slots.py::test_a_full_worker_leaves_the_bell_to_others",
    ),
    Mutant(
        "more jobs run at once than there are slots",
        8,
        [("queuectl_lib/run/slots.py", "busy < self.most and ", "")],
        "run/test_slots.py::test_no_more_run_at_once_than_there_are_slots",
    ),
    Mutant(
        "a worker adopts more than it has slots",
        5,
        [("queuectl_lib/run/orphans.py", " or self.free > 0", " or True")],
        "run/test_slots.py::test_of_a_row_of_orphans_a_worker_adopts_as_many_as_it_has_slots",
    ),
    Mutant(
        "what was claimed ahead is kept behind a long job",
        8,
        [("worker.py", "[attempts.unstarted(held) for held in self.ahead]", "[]")],
        "run/test_running.py::test_a_job_that_a_worker_claimed_ahead_does_not_wait_behind_a_long_one",
    ),
    Mutant(
        "a claim is forgotten when memory runs out",
        22,
        [("queuectl_lib/run/orphans.py", ' or job["seq"] not in held]', "]")],
        "run/test_memory.py::test_a_claim_that_was_made_when_memory_ran_out_is_found_again",
    ),
    Mutant(
        "a cancel can fail after its commit",
        13,
        [
            ("queuectl_lib/commands/cancel.py", "    if len(waited) == len(asked):\n        return code\n", ""),
            (
                "queuectl_lib/commands/cancel.py",
                "        if not token or identifier in late:\n",
                "        if identifier in late:\n",
            ),
        ],
        "promises/test_cancelling.py::test_a_cancel_of_what_waits_is_done_with_its_commit",
    ),
    Mutant(
        "a database without its WAL is taken into use",
        13,
        [("queuectl_lib/store/schema.py", '    if mode != "wal":', '    if mode == "none":')],
        "store/test_migrating.py::test_a_database_that_cannot_have_a_wal_is_not_made",
    ),
    Mutant(
        "a killed config set leaves rubbish for ever",
        13,
        [("queuectl_lib/commands/config.py", "                self.remove_what_a_kill_left()\n", "")],
        "ground/test_configuration.py::test_a_set_removes_what_a_killed_one_left_half_written",
    ),
    Mutant(
        "an ignored SIGCHLD hides how commands end",
        4,
        [
            (
                "queuectl_lib/host/signals.py",
                "        signal.signal(signal.SIGCHLD, signal.SIG_DFL)\n        signal.pthread",
                "        signal.pthread",
            ),
            (
                "queuectl_lib/host/signals.py",
                "    wake.ignore(signal.SIGCHLD)\n",
                "    signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n",
            ),
        ],
        "run/test_running.py::test_a_job_has_default_signals_whatever_its_worker_was_started_with",
    ),
    Mutant(
        "a job can unlock its watcher's lock",
        5,
        [("queuectl_lib/host/locks.py", " or is_locked_apart(fd)\n", "\n")],
        "run/test_evidence.py::test_what_a_job_unlocks_is_still_held_while_its_watcher_lives",
    ),
    Mutant(
        "who was handed the lock of a job is ended with it",
        9,
        [("queuectl_lib/host/tree_posix.py", "        return holders - others\n", "        return holders\n")],
        "promises/test_cancelling.py::"
        "test_a_process_that_was_there_before_the_job_and_was_handed_its_lock_is_told_and_never_signalled",
    ),
    Mutant(
        "a held lock is no proof of life",
        5,
        [
            (
                "queuectl_lib/run/attempt.py",
                "return self.is_held() or bool(",
                "return bool(",
            )
        ],
        "promises/test_recovery.py::test_a_lock_that_is_held_is_proof_of_life_where_nobody_can_be_found",
    ),
    Mutant(
        "a process without a pidfd is spared",
        9,
        [
            (
                "queuectl_lib/host/processes.py",
                "                os.kill(pid, number)\n    if handle",
                "                pass\n    if handle",
            )
        ],
        "promises/test_cancelling.py::test_where_the_kernel_gives_no_pidfd_a_process_is_ended_all_the_same",
    ),
    Mutant(
        "a new database takes in the log of the one before",
        14,
        [("queuectl_lib/store/schema.py", "    put_aside_what_is_of_another(path)\n", "")],
        "store/test_migrating.py::test_the_log_of_a_deleted_database_is_put_aside_and_brings_no_job_back",
    ),
    Mutant(
        "a database takes in the log of the one that it replaces",
        14,
        [("queuectl_lib/store/database.py", "            self._see_to_log(gated)\n", "            pass\n")],
        "store/test_log_of_another.py::test_the_log_of_another_is_put_aside_before_anything_is_read",
    ),
    Mutant(
        "a log is put aside under those who are connected to it",
        14,
        [("queuectl_lib/store/log_of_another.py", "is_alone = locks", "is_alone = True or locks")],
        "store/test_log_of_another.py::test_while_anybody_is_connected_the_log_is_left_alone",
    ),
    Mutant(
        "calls work where others can put a log beside the database",
        17,
        [("queuectl_lib/host/trust.py", "        if on_the_way and is_sticky:\n", "        if is_sticky:\n")],
        "promises/test_trust.py::test_no_call_works_where_others_could_put_a_log_beside_the_database",
    ),
    Mutant(
        "an upgrade passes the gate by",
        14,
        [
            (
                "queuectl_lib/store/database.py",
                "        if gated:\n            schema.migrate",
                "        if True:\n            schema.migrate",
            )
        ],
        "store/test_migrating.py::test_an_upgrade_waits_for_the_gate",
    ),
    Mutant(
        "a key that comes twice passes on the quick way",
        19,
        [("queuectl_lib/jobs/decoding.py", "    return colons == keys\n", "    return True\n")],
        "commands/test_submitting.py::test_the_quick_way_to_read_a_line_finds_what_the_careful_way_finds",
    ),
    Mutant(
        "two broken lines that are one object together pass for one job",
        19,
        [("queuectl_lib/jobs/decoding.py", " and found[1::2].count(MARK) == len(lines) - 1", "")],
        "jobs/test_decoding.py::test_lines_that_are_not_one_object_each_with_each_key_once_are_not_read_at_once",
    ),
    Mutant(
        "what a batch shares is not counted to what it adds to the log",
        13,
        [("queuectl_lib/store/bulk.py", " + int(connection.execute(SHARED_BYTES).fetchone()[0])", "")],
        "store/test_bulk.py::test_what_a_batch_adds_to_the_log_is_foretold",
    ),
    Mutant(
        "retries wait for a clock that went back while nobody looked",
        21,
        [("worker.py", "            self.queue.forgive_clock(time.time())  # it may", "            pass  # it may")],
        "promises/test_clock.py::test_a_retry_does_not_wait_for_a_clock_that_went_back_while_no_worker_ran",
    ),
    Mutant(
        "retries wait for a clock that went back",
        21,
        [
            (
                "storage.py",
                "AND (state = 'failed' OR snoozes > 0) AND updated_at > ?",
                "AND (state = 'failed' OR snoozes > 0) AND updated_at > ? AND 0",
            )
        ],
        SIMULATION,
    ),
    Mutant(
        "an attempt that never was is counted for a job that was cancelled meanwhile",
        22,
        [
            (
                "queuectl_lib/store/ending.py",
                "    if outcome.unstarted:\n        return connection.execute(WITHDRAW",
                "    if False:\n        return connection.execute(WITHDRAW",
            )
        ],
        "promises/test_cancelling.py::test_an_attempt_that_never_was_is_not_counted_beside_one_that_was",
    ),
    Mutant(
        "a database that is mounted as a single file is served",
        23,
        [("queuectl_lib/store/database.py", "        if path:\n", "        if False:\n")],
        "promises/test_identity.py::test_a_database_that_is_mounted_as_a_single_file_is_refused",
    ),
    Mutant(
        "jobs that ran are taken for new ones",
        2,
        [("queuectl_lib/jobs/making.py", " and not self.any_state:", " and False:")],
        "commands/test_feeding.py::test_what_ran_or_runs_is_refused_whole_with_the_first_and_how_many",
    ),
    Mutant(
        "a job from elsewhere gets the umask of who feeds it",
        19,
        [("queuectl_lib/jobs/making.py", "self.umask if umask is None else", "self.umask if True else")],
        "commands/test_feeding.py::test_every_stored_property_of_a_job_survives_the_way_from_list_to_enqueue",
    ),
    Mutant(
        "a name that comes twice is looked for in quadratic time",
        19,
        [("queuectl_lib/values.py", "if name in seen or", "if [one for one, _ in pairs].count(name) > 1 or")],
        "promises/test_costly_input.py::test_the_name_that_comes_twice_is_found_without_comparing_each_with_each",
    ),
    Mutant(
        "who has no life file is dead at once",
        25,
        [("queuectl_lib/store/presence.py", "now - self.missed.setdefault(name, now) < MISSING_SECONDS", "False")],
        "promises/test_vanishing.py::test_who_is_looked_for_again_and_again_is_dead_only_after_a_while_without_a_life_file",
        "promises/test_vanishing.py::test_a_swept_life_file_gives_no_running_job_away",
    ),
    Mutant(
        "claims taken ahead are started though others may have given them back",
        25,
        [("worker.py", "        if self.standing.is_shown():\n", "        if True:\n")],
        "promises/test_vanishing.py::test_what_was_claimed_ahead_is_given_back_when_the_life_file_was_away",
    ),
    Mutant(
        "a supervisor does not notice that its home was renamed",
        25,
        [
            ("queuectl_lib/run/standing.py", "if identity_of(self.folder.path) != self.place and", "if False and"),
            ("queuectl_lib/run/standing.py", "elif self._is_database_gone(database, now):", "elif False:"),
        ],
        "promises/test_vanishing.py::test_workers_of_a_renamed_home_let_go_and_the_next_one_adopts",
    ),
    Mutant(
        "workers go on with the database of another queue",
        23,
        [("queuectl_lib/run/standing.py", "elif self._is_another(database):", "elif False:")],
        "promises/test_vanishing.py::test_a_database_that_was_restored_from_a_backup_of_its_own_is_followed",
    ),
    Mutant(
        "a worker that hangs keeps its supervisor from ending",
        8,
        [("worker.py", "        self.pressing.turn(self.stage, self.workers)\n", "")],
        "promises/test_stopping.py::"
        "test_a_worker_that_hangs_is_killed_by_a_stop_that_waits_for_no_job_and_its_job_runs_once[--now]",
    ),
    Mutant(
        "a pipe in the place of the journal is opened",
        13,
        [("queuectl_lib/store/opening.py", 'if files.is_irregular(path + "-journal"):', "if False:")],
        "store/test_migrating.py::test_a_pipe_in_the_place_of_the_journal_holds_up_no_call_and_no_worker",
    ),
    Mutant(
        "an attempt that a trigger ignores is recorded nowhere",
        4,
        [("queuectl_lib/store/claiming.py", "    opening.refuse_ignored(1 - inserted.rowcount)\n", "")],
        "promises/test_damaged_rows.py::"
        "test_a_job_whose_attempt_a_trigger_ignores_is_neither_begun_nor_completed_without_one[INSERT]",
    ),
    Mutant(
        "a swept folder counts as a deleted queue",
        25,
        [("queuectl_lib/run/standing.py", " and not self._is_swept(database):", ":")],
        "promises/test_vanishing.py::test_the_folder_beside_the_database_is_made_anew_under_running_jobs",
    ),
    Mutant(
        "a swept life file stays away",
        25,
        [("queuectl_lib/run/standing.py", "            self.presence.show_again()\n", "            pass\n")],
        "promises/test_vanishing.py::test_life_files_that_were_swept_are_made_anew",
    ),
    Mutant(
        "a copy takes itself for its original",
        23,
        [("queuectl_lib/store/identity.py", "is_there_again else COPY", "is_there_again else SAME")],
        "promises/test_identity.py::test_a_copy_touches_nothing_of_its_original",
    ),
    Mutant(
        "a process is known by its token alone",
        23,
        [("queuectl_lib/host/sight.py", '(not queue or queues in ([], [queue.encode("utf-8")], [b""]))', "True")],
        "promises/test_identity.py::test_a_process_is_known_by_the_token_and_the_queue_together",
    ),
    Mutant(
        "an end is judged by what was seen before it",
        9,
        [("queuectl_lib/host/sight.py", "TOGETHER.look.began <= since", "False")],
        "host/test_sight.py::test_what_ends_behind_the_look_of_another_is_not_judged_by_it",
    ),
    Mutant(
        "a crowd that falls due is put in line in one go",
        10,
        [("queuectl_lib/store/claiming.py", "if fallen > CROWD:", "if False:")],
        "store/test_crowds.py::test_of_a_crowd_that_falls_due_one_claim_promotes_a_part",
    ),
    Mutant(
        "of a crowd the earliest are put in line, not the best",
        5,
        [("queuectl_lib/store/claiming.py", "        promote_best(connection, now_text)\n", PROMOTE_EARLIEST)],
        "store/test_crowds.py::test_the_order_holds_among_more_than_one_claim_promotes",
    ),
    Mutant(
        "a text is run under options that only bash heeds",
        22,
        [("queuectl_lib/run/carrying.py", "and not names & shells.OPTIONS_OF_BASH ", "")],
        "run/test_carrying.py::test_what_only_bash_heeds_changes_no_text_that_sh_runs",
    ),
    Mutant(
        "what a job inherits can write its evidence",
        6,
        [("queuectl_lib/run/run_lock.py", "os.O_RDONLY) if tree", "os.O_RDWR | os.O_APPEND) if tree")],
        "promises/test_hosts.py::test_under_every_shell_what_a_command_inherits_cannot_write_its_evidence",
    ),
    Mutant(
        "a watcher that could not begin its command has failed",
        22,
        [("queuectl_lib/run/run_file.py", 'return "start" in status and "pid" not in status', "return False")],
        "run/test_shortage.py::test_an_attempt_whose_watcher_ended_before_its_command_is_given_back",
    ),
    Mutant(
        "a process in between waits for the last command",
        22,
        [("queuectl_lib/jobs/command_text.py", 'return text[:place] + "exec " + text[place:]', "return text")],
        "run/test_carrying.py::test_a_script_that_ends_its_group_when_it_exits_is_completed_once",
    ),
    Mutant(
        "the watcher heeds what its job's environment says",
        22,
        [("queuectl_lib/run/launching.py", "| carrying.of_job(claim.env) if claim.env", "if claim.env")],
        "run/test_carrying.py::test_a_variable_with_an_odd_name_arrives_for_lists_and_texts",
    ),
    Mutant(
        "nobody looks whether a job erases its output",
        10,
        [("queuectl_lib/run/output_streams.py", "self.erased.add(", "str(")],
        "run/test_own_output.py::test_output_that_shrank_between_two_looks_is_noticed_also_where_it_grew_again",
    ),
    Mutant(
        "a shift of the clock is no change of a window",
        27,
        [("queuectl_lib/jobs/windows.py", "return first_shift(at, min(step, at + DAY_SECONDS))", "return step")],
        "jobs/test_time_windows.py::test_a_skipped_hour_is_never_inside",
    ),
    Mutant(
        "the end of a window is inside",
        27,
        [("queuectl_lib/jobs/windows.py", "edge <= minute", "edge < minute")],
        "jobs/test_time_windows.py::test_when_a_window_is_open",
    ),
    Mutant(
        "a gate whose path is gone stands open",
        27,
        [("queuectl_lib/jobs/gates.py", 'return "cannot read %s" % path, now + LOOK_AGAIN', "return None")],
        "jobs/test_gates.py::test_a_gate_says_what_closes_it_and_looks_again_in_ten_seconds",
    ),
    Mutant(
        "a clock that was put back holds a rate up until it is as late again",
        28,
        [("queuectl_lib/jobs/gates.py", "min(oldest, now) + self", "oldest + self")],
        "jobs/test_gates.py::test_a_start_waits_until_the_one_that_many_before_is_older_than_the_span",
    ),
    Mutant(
        "an edge that was met opens again",
        29,
        [
            (
                "queuectl_lib/store/edges.py",
                'SOME_BROKEN = "SELECT rowid, child, wants FROM edges WHERE parent = ? AND state = 2 LIMIT ?"',
                'SOME_BROKEN = "SELECT rowid, child, wants FROM edges WHERE parent = ? AND state <> 1 LIMIT ?"',
            )
        ],
        "store/test_dependencies.py::test_an_edge_that_was_met_stays_met_whatever_becomes_of_the_parent_then",
    ),
    Mutant(
        "a cascade forgets grandchildren",
        29,
        [
            (
                "queuectl_lib/store/edges.py",
                '            do_each(connection, settling.HAS_ENDED, [(edge["child"],) for edge in some])\n',
                "",
            )
        ],
        "store/test_dependencies.py::test_what_comes_after_a_cancelled_job_is_cancelled_too_and_names_the_root",
    ),
    Mutant(
        "only the end itself is settled, not what was left of it",
        29,
        [
            (
                "storage.py",
                "            if is_unsettled:\n",
                "            if is_unsettled and outcomes:\n",
            )
        ],
        "store/test_dependencies.py::test_a_parent_deleted_by_hand_leaves_no_orphan_that_waits",
    ),
    Mutant(
        "prune takes a job whose end has not reached its children",
        29,
        [
            (
                "queuectl_lib/store/pruning.py",
                'SETTLED = " AND NOT EXISTS (SELECT 1 FROM settling WHERE job = jobs.seq)"',
                'SETTLED = ""',
            )
        ],
        "store/test_dependencies.py::test_prune_leaves_a_job_whose_end_has_not_reached_its_children",
    ),
    Mutant(
        "two who have read the same schedule both make its job",
        30,
        [
            ("queuectl_lib/store/slots_made.py", " != [row]:\n", " != [row] and False:\n"),
            (
                "queuectl_lib/store/slots_made.py",
                "failures = failures + ?, trouble = ? WHERE name = ? AND next_at = ?",
                "failures = failures + ?, trouble = ? WHERE name = ? AND ? > ''",
            ),
        ],
        "store/test_schedules.py::test_who_has_read_a_schedule_before_another_made_its_job_makes_none",
    ),
    Mutant(
        "a schedule moves on before its job is there",
        30,
        [
            (
                "queuectl_lib/store/slots_made.py",
                "            made = make_jobs(connection, row, due, now)\n"
                "            move_on(connection, row, due, made, None)\n",
                "            move_on(connection, row, due, [], None)\n            connection.execute('COMMIT')\n"
                "            connection.execute('BEGIN IMMEDIATE')\n            connection.execute('SAVEPOINT part')\n"
                "            made = make_jobs(connection, row, due, now)\n",
            )
        ],
        "store/test_schedules.py::test_no_slot_moves_on_without_its_job_and_no_job_is_there_without_that",
    ),
    Mutant(
        "of missed slots the oldest is made in place of the newest",
        30,
        [("queuectl_lib/jobs/due_slots.py", 'row["missed_most"] or 1)', '1000)[: row["missed_most"] or 1]')],
        "store/test_schedules.py::test_once_makes_one_job_for_the_newest_of_the_missed_slots",
    ),
    Mutant(
        "why does not know of one thing that keeps a queue shut",
        27,
        [
            (
                "queuectl_lib/store/explaining.py",
                "                if shut:\n",
                '                if shut and reason != "queue_full":\n',
            )
        ],
        "reports/test_why_and_the_claim.py::test_a_job_can_be_claimed_if_and_only_if_no_reason_blocks_it",
    ),
    Mutant(
        "why counts what is parked for a lock as if it came first",
        27,
        [("queuectl_lib/store/explaining.py", "locks if len(locks) <= MOST_LOCKS else []", "[]")],
        "reports/test_why_and_the_claim.py::test_a_job_whose_lock_is_taken_comes_before_nobody",
    ),
    Mutant(
        "why names a pid that is another process by now",
        24,
        [
            (
                "queuectl_lib/reports/crew.py",
                'return sight.holds_lock(member["pid"], self.folder.life_path(member["name"]))',
                "return bool(sight)",
            )
        ],
        "commands/test_why.py::test_a_pid_that_is_another_process_by_now_is_never_named",
    ),
    Mutant(
        "why says that memory was short without evidence",
        22,
        [
            (
                "queuectl_lib/reports/failures.py",
                'OOM.get(attempt["oom"], SIGNALS.get(name, "a signal"))',
                'OOM.get(attempt["oom"], OOM["likely"])',
            )
        ],
        "commands/test_why.py::test_out_of_memory_is_said_only_with_evidence",
    ),
    Mutant(
        "a long PATH makes a life file that nobody can read",
        25,
        [("queuectl_lib/store/presence.py", "len(json.dumps(path)) <= MOST_PATH", "path")],
        "commands/test_why.py::test_a_path_that_would_fill_the_life_file_is_left_out_of_it",
    ),
    Mutant(
        "why mixes two moments",
        27,
        [("queuectl_lib/store/explaining.py", '            connection.execute("BEGIN")', "            pass")],
        "reports/test_why_and_the_claim.py::test_all_that_is_said_is_of_one_moment",
    ),
    Mutant(
        "an end that was refused counts for its kind",
        32,
        [
            (
                "queuectl_lib/store/ending.py",
                "[one for one in outcomes if one not in refused] if refused else outcomes",
                "outcomes",
            )
        ],
        "store/test_durations.py::test_a_lost_claim_counts_nothing",
    ),
    Mutant(
        "what a kind comes to is committed before the ends that it tells of",
        32,
        [
            (
                "queuectl_lib/store/ending.py",
                "    refused = [outcome for outcome in outcomes if not end_attempt(connection, outcome, settings)]\n"
                "    if outcomes:\n",
                "    count(connection, outcomes, True)\n    connection.execute('COMMIT')\n"
                "    connection.execute('BEGIN IMMEDIATE')\n"
                "    refused = [outcome for outcome in outcomes if not end_attempt(connection, outcome, settings)]\n"
                "    if False:\n",
            )
        ],
        "promises/test_counted_once.py::test_a_worker_killed_around_the_commit_of_an_end_counts_it_once",
    ),
    Mutant(
        "what has failed is taken for a duration of its kind",
        32,
        [("queuectl_lib/store/kinds.py", "elif seconds is not None and", "if seconds is not None and")],
        "store/test_durations.py::test_attempts_that_end_are_counted_and_those_that_succeed_are_measured",
    ),
    Mutant(
        "what ends of a kind while attempts are read again counts twice",
        32,
        [
            (
                "queuectl_lib/store/durations.py",
                'if not (type(row["ended"]) is int and row["ended"] > before):',
                "if True:",
            )
        ],
        "store/test_durations.py::test_what_ends_while_attempts_are_read_again_counts_once",
    ),
    Mutant(
        "an estimate by kind knows no limits",
        32,
        [
            (
                "queuectl_lib/store/ahead.py",
                "limited = any(has_due(connection, queue) for queue in paced)",
                "limited = False",
            )
        ],
        "reports/test_estimate.py::test_where_a_limit_sets_the_pace_there_is_no_time",
    ),
    Mutant(
        "a snooze spends a retry",
        31,
        [
            (
                "queuectl_lib/store/snoozing.py",
                "'integer' THEN max(attempts - 1, 0) ELSE attempts",
                "'integer' THEN attempts ELSE attempts",
            )
        ],
        "store/test_snoozing.py::test_a_snoozed_job_waits_as_long_as_it_asked_and_has_spent_no_retry",
    ),
    Mutant(
        "a job may snooze without end",
        31,
        [("queuectl_lib/jobs/verdicts.py", "if snoozes >= most:", "if snoozes >= most + 10**9:")],
        "jobs/test_verdicts.py::test_a_snooze_too_many_is_a_failed_attempt",
    ),
    Mutant(
        "what was snoozed is due at once when it is released",
        31,
        [("queuectl_lib/store/placing.py", " AND snoozes = 0 THEN", " THEN")],
        "store/test_snoozing.py::test_held_and_released_it_still_waits_for_its_time",
    ),
    Mutant(
        "a control file that is a link is followed",
        31,
        [
            ("queuectl_lib/host/control_file.py", "return os.lstat(path)", "return os.stat(path)"),
            (
                "queuectl_lib/host/control_file.py",
                "fd = files.open_private(path, os.O_RDONLY | files.WITHOUT_WAITING)",
                "fd = os.open(path, os.O_RDONLY | files.WITHOUT_WAITING)",
            ),
        ],
        "promises/test_control_file.py::test_what_is_no_control_file_decides_nothing_and_holds_nobody_up",
    ),
    Mutant(
        "jitter is added before the cap",
        31,
        [
            (
                "queuectl_lib/jobs/backoff.py",
                "return float(seconds * (1 + jitter * share(identifier, number)) if jitter else seconds)",
                "return min(float(cap), float(seconds * (1 + jitter * share(identifier, number))))",
            )
        ],
        "jobs/test_verdicts.py::test_jitter_comes_after_the_cap_is_always_the_same_and_differs_between_jobs_and_attempts",
    ),
    Mutant(
        "a canary that fails is tried again",
        32,
        [("queuectl_lib/jobs/attempts.py", ' if row["release"] is None else 0', "")],
        "store/test_canary.py::test_its_failure_touches_nothing_else_whatever_retries_it_has",
    ),
    Mutant(
        "what goes on with the rest of a group does so in one transaction",
        32,
        [("queuectl_lib/store/edges.py", "return gone if is_all else max(gone, most)", "return gone * is_all")],
        "store/test_canary.py::test_of_2500_those_that_follow_go_at_most_a_thousand_in_a_transaction_and_a_kill_loses_none",
    ),
    Mutant(
        "who was put back by hand still belongs to the group that waits",
        32,
        [("queuectl_lib/store/following.py", '" worker = NULL, release = NULL WHERE', '" worker = NULL WHERE')],
        "store/test_canary.py::test_who_was_put_back_by_hand_and_died_again_does_not_follow",
    ),
    Mutant(
        "who died since a canary went follows it, too",
        32,
        [
            (
                "queuectl_lib/store/following.py",
                'if row["release"] == release["id"] and row["signature"]',
                'if row["signature"]',
            )
        ],
        "store/test_canary.py::test_who_died_since_or_has_another_error_does_not_follow",
    ),
    Mutant(
        "a pattern goes back over words",
        32,
        [("queuectl_lib/jobs/signatures.py", "(?<![\\w.+-])[\\w.+-]{1,64}@", "[\\w.+-]{1,999}[\\w.+-]{0,9}@")],
        "jobs/test_signatures.py::test_hostile_output_costs_little_more_than_an_ordinary_line_of_its_length",
    ),
    Mutant(
        "a peak below the worker's own is told as if it were the job's",
        31,
        [("queuectl_lib/host/spawn.py", "peak if is_above_own(peak) else -peak", "peak")],
        "run/test_resources.py::test_a_small_job_of_a_larger_worker_shows_a_bound",
    ),
    Mutant(
        "limits bind only jobs whose command is a list",
        31,
        [
            (
                "queuectl_lib/run/launching.py",
                'if claim.policy and ("nice" in claim.policy or "limit" in claim.policy):',
                "if claim.policy and not isinstance(words, str):",
            )
        ],
        "run/test_resources.py::test_the_number_of_files_is_bound_in_every_kind_of_command",
    ),
    Mutant(
        "a limit that cannot be set is left out",
        31,
        [("queuectl_lib/host/bounds.py", "raise ValueError(text % (name, value, hard)) from None", "return hard")],
        "run/test_resources.py::test_a_limit_above_the_hard_one_of_the_worker_cannot_start",
    ),
    Mutant(
        "every SIGKILL counts as one for want of memory",
        31,
        [("queuectl_lib/host/memory_kills.py", "and now > count else None", "and now >= count else None")],
        "run/test_memory_kills.py::test_a_kill_while_the_count_stood_says_nothing_of_memory",
    ),
    Mutant(
        "the count of kills is never looked at again before a job begins",
        31,
        [("queuectl_lib/host/memory_kills.py", "now - taken > SECONDS", "count is None")],
        "run/test_memory_kills.py::test_the_count_is_read_once_a_second_at_most",
    ),
    Mutant(
        "the file of a text for an interpreter stays behind",
        10,
        [("queuectl_lib/jobs/attempts.py", ' + ["cmd"] * self.has_script()', "")],
        "run/test_interpreters.py::test_a_text_is_run_by_the_program_that_its_first_line_names",
    ),
    Mutant(
        "tidying knows nothing of that file",
        10,
        [("queuectl_lib/store/tidying.py", "folder.SAY, folder.SCRIPT}", "folder.SAY}")],
        "run/test_interpreters.py::test_the_file_left_by_a_worker_killed_behind_the_record_is_tidied",
    ),
    Mutant(
        "a job that runs gives way to a newer one",
        3,
        [("queuectl_lib/store/giving_way.py", 'if head["state"] not in states.WAITING:', "if False:")],
        "commands/test_rerun.py::test_one_that_runs_does_not_give_way_and_nothing_changes",
    ),
    Mutant(
        "what is there already is not left out of a batch",
        1,
        [("queuectl_lib/store/skipping.py", ", DROP_THERE)", ")")],
        "commands/test_lines.py::test_the_same_list_again_adds_what_is_missing_and_says_how_many_were_there",
    ),
    Mutant(
        "who begins to start while workers are told to stay stopped goes on",
        9,
        [("queuectl_lib/store/staying.py", "is not None:\n            folder.", "is False:\n            folder.")],
        "run/test_staying.py::test_a_supervisor_that_was_about_to_start_meanwhile_stops_by_itself",
    ),
    Mutant(
        "a cancel in a copy ends what the original has left running",
        5,
        [("queuectl_lib/run/leftovers.py", "not any(tokens.values()) or identity.copied_from(database)", "False")],
        "commands/test_leftovers.py::test_in_a_copy_nothing_of_the_original_is_named_or_ended",
    ),
    Mutant(
        "a requeue of what waits for a retry goes behind what is due as long",
        28,
        [("queuectl_lib/store/requeuing.py", 'AND next_run_at > ?"\n) %', "AND '' < ?\"\n) %")],
        "store/test_hurrying.py::test_what_is_due_already_keeps_its_place",
    ),
    Mutant(
        "a wait for all that is open does not know of what runs",
        28,
        [("queuectl_lib/store/awaited.py", "for state in states.HOLDING:", "for state in states.WAITING:")],
        "commands/test_waiting_for.py::test_what_waits_and_what_runs_is_seen_at_one_moment",
    ),
    Mutant(
        "time that was given to a job is known to its worker alone",
        32,
        [
            (
                "queuectl_lib/run/hearing.py",
                "if give_time(attempt, written + more):",
                "if give_time(attempt, written + more) and False:",
            )
        ],
        "promises/test_control_file.py::test_time_that_was_given_outlives_its_worker",
    ),
    Mutant(
        "a kill for want of memory is told of the next job, too",
        31,
        [("queuectl_lib/host/memory_kills.py", "    if now is not None:  # for", "    if False:  # for")],
        "run/test_memory_kills.py::test_a_kill_that_was_told_already_is_no_evidence_for_the_next_job",
    ),
    Mutant(
        "a hook that fails is not told the same again",
        33,
        [("queuectl_lib/reports/hook_delivery.py", "    if ended.code == 0:\n", "    if True:\n")],
        "run/test_hooks.py::test_a_hook_that_fails_is_told_the_same_again_and_check_says_so",
    ),
    Mutant(
        "the cursor of the hook moves before it was told",
        33,
        [
            (
                "queuectl_lib/reports/hook_delivery.py",
                "    ended = try_once(",
                "    move_on(queue, cursor, batch)\n    ended = try_once(",
            )
        ],
        "run/test_hooks.py::test_a_hook_that_is_killed_in_the_middle_gets_the_same_events_again",
    ),
    Mutant(
        "what a hook leaves behind goes on",
        33,
        [("queuectl_lib/run/hook_process.py", "if code is None or self.tree.members()", "if code is None")],
        "run/test_hook_process.py::test_what_it_leaves_behind_is_ended_too",
    ),
    Mutant(
        "who sets a hook is told of all that ever ended",
        33,
        [("queuectl_lib/store/hooking.py", "hooked = ended + 1 WHERE", "hooked = 1 WHERE")],
        "run/test_hooks.py::test_a_hook_is_told_of_nothing_that_ended_before_it_was_set",
    ),
    Mutant(
        "a stop waits for a hook that hangs",
        33,
        [("queuectl_lib/run/hooks.py", "if waited < patience:", "if True:")],
        "run/test_hooks.py::test_a_hook_that_hangs_delays_no_job_and_no_stop",
    ),
    Mutant(
        "two supervisors tell the hook at the same time",
        33,
        [("queuectl_lib/store/hook_note.py", "    if locks.try_lock(fd):", "    if True:")],
        "commands/test_hook.py::test_another_who_tells_it_is_not_waited_for",
    ),
    Mutant(
        "what is left of a killed run of the hook goes on",
        33,
        [("queuectl_lib/reports/hook_delivery.py", "settings.grace) if note.tries", "settings.grace) if False")],
        "run/test_hooks.py::test_no_event_is_lost_where_who_tells_it_is_killed_meanwhile[both]",
    ),
    Mutant(
        "a reader with a cursor is not told of what is gone",
        31,
        [("queuectl_lib/commands/events.py", 'row["ended"] > self.seen + 1:', 'row["ended"] > self.seen + 10**9:')],
        "commands/test_events.py::test_a_reader_with_a_cursor_is_told_of_what_is_gone",
    ),
    Mutant(
        "who follows does not see that nobody reads",
        26,
        [("queuectl_lib/commands/events.py", "if not stream.is_read(sys.stdout.fileno()):", "if False:")],
        "commands/test_events.py::test_who_follows_ends_by_itself_once_nobody_reads",
    ),
    Mutant(
        "who follows asks the database again and again",
        31,
        [("queuectl_lib/commands/events.py", "while pause == pace.LOOK_AROUND_SECONDS and", "while False and")],
        "commands/test_events.py::test_who_follows_asks_the_database_no_more_while_nothing_changes",
    ),
    Mutant(
        "what an end made of a job is forgotten with its next attempt",
        31,
        [("queuectl_lib/store/aftermath.py", "    mark_end,\n", "")],
        "store/test_event_records.py::test_state_is_what_that_end_made_of_the_job_whatever_came_later",
    ),
    Mutant(
        "a job log has each attempt of a job",
        31,
        [("queuectl_lib/store/job_log.py", '"?" * len(states)) + IS_LAST', '"?" * len(states))')],
        "commands/test_joblog.py::test_a_job_stands_there_once_with_its_last_attempt_and_only_when_it_is_over",
    ),
    Mutant(
        "a job log tells the exit code of what was content with it",
        31,
        [("queuectl_lib/commands/joblog.py", 'row["outcome"] == states.COMPLETED:', 'row["exit_code"] == 0:')],
        "commands/test_joblog.py::test_only_what_has_completed_is_zero_and_zero",
    ),
    Mutant(
        "what cannot be read and dies of it is not counted",
        31,
        [("queuectl_lib/store/ending.py", "    if is_settled:\n", "    if False:\n")],
        "store/test_totals.py::test_a_job_that_cannot_be_read_and_dies_of_it_counts_as_failed",
    ),
    Mutant(
        "what never ran is counted as an attempt",
        31,
        [("queuectl_lib/store/totals.py", "if not outcome.unstarted]", "]")],
        "store/test_totals.py::test_what_never_ran_is_no_attempt_and_what_was_refused_did_not_end",
    ),
    Mutant(
        "metrics are as private as the umask wants them",
        31,
        [("queuectl_lib/commands/metrics.py", '"file of metrics", READABLE)', '"file of metrics")')],
        "commands/test_metrics.py::test_a_file_is_for_all_to_read_whatever_the_umask_and_renamed",
    ),
    Mutant(
        "a quote in a label ends it",
        31,
        [("queuectl_lib/reports/metrics.py", ".replace('\"', '\\\\\"')", "")],
        "commands/test_metrics.py::test_hostile_text_stays_the_text_of_a_label",
    ),
    Mutant(
        "a database that cannot be read leaves the metrics of before",
        31,
        [("queuectl_lib/commands/metrics.py", "        if options.json:\n            raise\n", "        raise\n")],
        "commands/test_metrics.py::test_where_the_database_cannot_be_read_up_is_zero_and_nothing_else_is_told",
    ),
    Mutant(
        "no answer of an engine is taken for gone",
        34,
        [("queuectl_lib/run/far.py", "elif answer.code == 1 and not answer.has_failed:", "elif answer.code != 0:")],
        "run/test_far.py::test_any_other_answer_is_none_and_is_asked_for_again_ever_more_seldom",
        "run/test_far_jobs.py::test_what_is_not_known_is_waited_for_and_told",
    ),
    Mutant(
        "the end of a client is the end of its far job",
        34,
        [
            (
                "queuectl_lib/run/far_attempt.py",
                "return super().is_over() and self.look_there()",
                "return super().is_over()",
            )
        ],
        "run/test_far_jobs.py::test_a_client_that_is_killed_leaves_a_job_that_is_ended_before_the_next_attempt",
        "run/test_far_jobs.py::test_after_the_death_of_the_host_nothing_runs_twice",
    ),
    Mutant(
        "gone is believed at once where a client was killed",
        34,
        [("queuectl_lib/run/far.py", "self.gone_once or not self.is_doubted", "True")],
        "run/test_far.py::test_of_one_whose_client_was_killed_gone_must_be_said_twice_with_time_in_between",
    ),
    Mutant(
        "a far job is ended by signals to its client",
        34,
        [
            (
                "queuectl_lib/run/far_attempt.py",
                "        if self.is_ended_here():\n            super().ask",
                "        if True:\n            super().ask",
            )
        ],
        "run/test_far_jobs.py::test_a_cancel_is_heard_there_with_its_grace",
    ),
    Mutant(
        "a far job of which nothing is known holds a slot",
        34,
        [("queuectl_lib/run/slots.py", "if not one.rests()]\n\n    def free", "]\n\n    def free")],
        "run/test_far_jobs.py::test_what_is_not_known_is_waited_for_and_told",
    ),
    Mutant(
        "a far job starts before its claim is on the disk",
        34,
        [("queuectl_lib/run/far_attempt.py", "        self.queue.database.catch_up()\n", "")],
        "run/test_far_claims.py::test_a_claim_is_on_the_disk_before_its_far_job_starts",
    ),
    Mutant(
        "the failure of a launcher costs a retry",
        34,
        [("queuectl_lib/run/far_attempt.py", "{*listed, *codes} if", "{*listed} if")],
        "run/test_far_jobs.py::test_the_engines_own_failure_costs_no_retry",
    ),
    Mutant(
        "the next attempt joins nothing",
        34,
        [("queuectl_lib/store/launched.py", "told and told.group(4) and", "told and not told.group(4) and")],
        "run/test_far_jobs.py::test_the_next_attempt_joins_what_runs_there",
    ),
    Mutant(
        "an attempt that cannot start forgets the far job that it was to join",
        34,
        [("queuectl_lib/run/slots.py", "refused.joins = joins", "refused.joins = False")],
        "run/test_far_joining.py::test_an_attempt_that_cannot_start_leaves_the_far_job_to_the_next",
    ),
    Mutant(
        "a job that waits to join what runs there is cancelled here alone",
        34,
        [("queuectl_lib/store/cancelling.py", 'state != "processing" and is_to_join', 'state == "" and is_to_join')],
        "run/test_far_joining.py::test_until_then_it_is_under_way_and_no_other_job_is",
    ),
    Mutant(
        "a cancel beside a lost line is done before the far job is over",
        34,
        [("queuectl_lib/store/ending.py", "== states.CANCELLED and outcome.joins", "== states.CANCELLED and False")],
        "run/test_far_joining.py::test_a_cancel_beside_a_lost_line_is_not_done_before_the_far_job_is_over",
    ),
    Mutant(
        "another launcher is asked for what may run by the first",
        34,
        [("queuectl_lib/store/launched.py", "name = joins[0] if joins else own if", "name = own if")],
        "run/test_far_joining.py::test_what_is_to_be_joined_is_joined_whatever_launcher_was_chosen_since",
    ),
    Mutant(
        "what may run there is handed over by export --take",
        34,
        [("queuectl_lib/store/exporting.py", "or cancelling.is_to_join(connection, seq)", "or False")],
        "run/test_far_joining.py::test_nor_is_it_handed_over_to_another_program",
    ),
    Mutant(
        "a home that is elsewhere for a moment has its jobs say nothing",
        32,
        [("queuectl_lib/run/run_file.py", "if is_there or files.is_there(run_path):", "if is_there or True:")],
        "run/test_away.py::test_what_a_job_has_said_is_heard_once_its_home_is_back",
    ),
    Mutant(
        "a job whose launcher is not there runs here",
        34,
        [
            (
                "queuectl_lib/run/taking.py",
                "if claim.launcher is None:",
                "if claim.launcher not in holder.current.settings.launchers:",
            )
        ],
        "run/test_far_jobs.py::test_a_launcher_that_this_host_has_not_starts_nothing",
    ),
]


# ---------------------------------------------------------------- running


def copy_of_product(folder):
    for name in COPIED:
        source, target = os.path.join(ROOT, name), os.path.join(folder, name)
        if os.path.isdir(source):
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)


def run_check(folder, checks, seconds=LIMIT_SECONDS):
    """Run checks in *folder*: "passed", or which one failed."""
    words = PYTEST + [os.path.join("tests", check) for check in checks]
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    child = subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
    )
    try:
        output = child.communicate(timeout=seconds)[0].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGINT)  # so that it still ends what its test has started
        child.communicate()
        return "%s (hung)" % checks[0]
    if child.returncode == 0:
        return "skipped" if re.search(r"^\d+ skipped", output, re.M) else "passed"
    if child.returncode == 4:
        return "no such check"
    failed = re.search(r"^(?:FAILED|ERROR) tests/(\S+)", output, re.M)
    if child.returncode != 1 or not failed:
        raise RuntimeError("pytest said:\n" + output[-2000:])
    return failed.group(1)


def try_mutant(mutant):
    """(who noticed it or "passed", seconds)."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="queuectl-mutant-") as folder:
        copy_of_product(folder)
        mutant.plant(folder)
        return run_check(folder, mutant.checks), time.monotonic() - began


def check_the_checks(mutants):
    """The checks that do not pass on an unharmed copy."""
    checks = sorted({check for mutant in mutants for check in mutant.checks})
    with tempfile.TemporaryDirectory(prefix="queuectl-mutant-") as folder:
        copy_of_product(folder)
        return run_check(folder, checks, ALL_SECONDS)


def print_row(number, name, verdict, seconds):
    print("%-8s %-60s %-6s %s" % (number, name, seconds, verdict), flush=True)


def main():
    parser = argparse.ArgumentParser(description="Plant faults, and see which test notices.")
    parser.add_argument("--only", default="", help="mutants with this word in their name")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default 2)")
    options = parser.parse_args()
    mutants = [mutant for mutant in MUTANTS if options.only in mutant.name]
    began = time.monotonic()
    for mutant in mutants:  # none is stale, before minutes are spent
        with tempfile.TemporaryDirectory(prefix="queuectl-mutant-") as folder:
            copy_of_product(folder)
            mutant.plant(folder)
    print_row("PROMISE", "FAULT", "CAUGHT BY", "SEC")
    survivors = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        unharmed = pool.submit(check_the_checks, mutants)
        for mutant, (verdict, seconds) in zip(mutants, pool.map(try_mutant, mutants)):
            if verdict in UNNOTICED:
                survivors.append(mutant)
                verdict = "NOBODY: %s %s" % (", ".join(mutant.checks), verdict)
            print_row(mutant.promise, mutant.name, verdict, "%.1f" % seconds)
    print("%d mutants, %d survived, %.0f s" % (len(mutants), len(survivors), time.monotonic() - began))
    if unharmed.result() not in ("passed", "skipped"):
        print("a check fails without any fault, too: %s" % unharmed.result())
        return 2
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
