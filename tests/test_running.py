"""Running commands: what a job sees, and what is kept of it."""

from conftest import posix_only


def test_a_job_runs_and_its_output_is_kept(home):
    job = home.add("echo out; echo err >&2")
    home.drain()
    assert home.run("logs", job).stdout == "out\n"
    assert home.run("logs", job).stderr == "err\n"
    assert home.run("logs", job, "--stderr").stdout == "err\n"


@posix_only
def test_a_list_of_arguments_runs_without_a_shell(home):
    job = home.run("add", "--", "printf", "%s|", "a b", "$HOME", ";").id
    home.drain()
    assert home.run("logs", job).stdout == "a b|$HOME|;|"
