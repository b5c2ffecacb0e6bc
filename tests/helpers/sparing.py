"""Tests of many parameters, each a matter of seconds: so many of them run in `make test`, all in `make test-long`."""

from helpers.marks import long

KEPT = {
    "commands/test_command_line.py": {
        "test_workers_in_the_foreground_start_as_written": 2,
    },
    "commands/test_door.py": {
        "test_no_worker_starts_from_files_that_others_can_write": 4,
    },
    "jobs/test_recurrence.py": {
        "test_random_lines_agree_with_a_cron_that_looks_each_minute": 6,
    },
    "jobs/test_states.py": {
        "test_random_moves_stay_within_the_table_and_keep_the_counts": 2,
    },
    "promises/test_control_file.py": {
        "test_a_worker_killed_anywhere_loses_no_snooze_and_spends_no_retry": 4,
    },
    "promises/test_damaged_rows.py": {
        "test_a_result_that_a_trigger_refuses_holds_up_no_other_and_is_recorded_once_it_may_be": 3,
        "test_counts_that_somebody_has_changed_are_counted_anew": 4,
        "test_output_files_that_a_job_has_made_into_something_else_hold_up_nobody": 3,
    },
    "promises/test_failpoints.py": {
        "test_a_worker_killed_between_two_effects_loses_and_repeats_nothing": 5,
    },
    "promises/test_full_disks.py": {
        "test_a_call_on_a_full_disk_says_so_however_little_is_left": 2,
    },
    "promises/test_interruption.py": {
        "test_a_signal_without_a_stop_is_a_failure_as_ever": 2,
    },
    "promises/test_replacing.py": {
        "test_a_worker_that_needs_more_of_its_files_takes_none_of_another_build": 2,
    },
    "promises/test_trust.py": {
        "test_no_worker_starts_on_what_belongs_to_another_user": 5,
        "test_no_worker_starts_on_what_other_users_can_write": 5,
    },
    "promises/test_trust_code.py": {
        "test_a_file_in_the_home_is_never_taken_for_a_module_of_python": 2,
        "test_a_worker_is_not_replaced_while_others_can_write_what_it_would_load": 2,
        "test_code_that_a_list_of_further_users_lets_another_user_write_is_refused": 3,
    },
    "promises/test_unseen.py": {
        "test_a_job_in_another_pid_namespace_is_adopted_and_goes_on_to_its_end": 2,
    },
    "promises/test_vanishing.py": {
        "test_the_folder_beside_the_database_is_made_anew_under_running_jobs": 2,
    },
    "run/test_carrying.py": {
        "test_a_signal_that_a_command_sends_to_its_group_ends_nobody_in_its_stead": 5,
        "test_every_variable_of_a_job_reaches_its_program_as_it_was_given": 21,  # with seven shells: three with sh
        "test_no_variable_of_a_job_makes_its_watcher_tell_what_is_not_so": 42,  # six with sh
    },
    "run/test_ensuring.py": {
        "test_while_a_stopping_supervisor_finishes_a_long_job_a_new_one_is_started": 2,
    },
    "run/test_evidence.py": {
        "test_whatever_a_job_does_to_its_run_file_costs_an_attempt_at_worst_and_stops_nobody": 4,
    },
    "run/test_log.py": {
        "test_a_stop_keeps_its_deadline_where_nobody_reads_what_it_says": 2,
        "test_a_stop_works_and_tells_the_truth_where_nobody_reads_the_log": 2,
        "test_work_goes_on_where_nobody_reads_the_log_and_what_was_not_written_is_told_later": 2,
    },
    "run/test_queues_served.py": {
        "test_a_worker_rests_while_its_queue_is_closed": 3,
        "test_ensure_looks_for_one_that_serves_at_least_these": 5,
    },
    "store/test_migrating.py": {
        "test_what_stands_in_the_place_of_a_file_of_sqlite_is_named_and_no_worker_starts": 3,
    },
    "store/test_rates.py": {
        "test_no_span_has_more_starts_while_times_and_ends_are_what_they_will": 3,
        "test_nor_while_the_number_is_raised_and_lowered": 3,
    },
    "store/test_schedules_at_random.py": {
        "test_whatever_happens_the_slots_are_those_of_the_account": 7,  # each policy once
    },
    "store/test_simulation.py": {
        "test_workers_that_die_between_any_two_calls_leave_the_queue_as_it_must_be": 4,
    },
    "store/test_simulation_of_flow.py": {
        "test_every_step_of_a_block_of_seeds_holds": 3,
    },
}


def mark(items):
    """Mark as long, of each of these tests, all but so many that are spread evenly over its parameters."""
    found = {}
    for item in items:
        name = item.nodeid.partition("[")[0]
        found.setdefault(name[len("tests/") :] if name.startswith("tests/") else name, []).append(item)
    for file, tests in KEPT.items():
        for test, kept in tests.items():
            some = found.get("%s::%s" % (file, test), [])
            for number, item in enumerate(some):
                if number * kept // len(some) == (number - 1) * kept // len(some):
                    item.add_marker(long)
