"""Launchers as config.json has them: which are taken, and which words come of them for one attempt."""

import shlex

import pytest
from helpers.hostile import STRINGS

from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import launchers
from queuectl_lib.jobs.attempts import CLAIMED_COLUMNS, Claim


def claim_of(args=(), **more):
    row = dict(dict.fromkeys(CLAIMED_COLUMNS), is_list=0, id="j1", command="true", attempts=2, cwd="/data", **more)
    found = Claim(dict(row, seq=1), "c0ffee", 7, 2)
    found.launcher_args = list(args)
    return found


def mine(**own):
    return launchers.named(launchers.check({"mine": {"run": ["my-run"], **own}}, "launchers"), "mine")


def words_of(claim=None, words=("echo", "hi"), timeout=None, **own):
    return mine(**own).command(claim or claim_of(), list(words), 2, timeout)


# ---------------------------------------------------------------- words


def test_the_words_of_the_job_follow_those_of_the_launcher():
    assert words_of() == ["my-run", "echo", "hi"]


def test_placeholders_are_filled_inside_an_element():
    run = ["r", "{token}", "-J{id}-{attempt}:{cwd}", "{{.State.Running}}", "{}", "{ x }", "{a-b}"]
    assert words_of(run=run)[:7] == ["r", "c0ffee", "-Jj1-2:/data", "{{.State.Running}}", "{}", "{ x }", "{a-b}"]


def test_arguments_of_the_job_stand_where_args_does_and_else_at_the_end():
    claim = claim_of(["--mem=4G", "-c2"])
    assert words_of(claim, run=["r", "{args}", "--"]) == ["r", "--mem=4G", "-c2", "--", "echo", "hi"]
    assert words_of(claim, run=["r", "--"]) == ["r", "--", "--mem=4G", "-c2", "echo", "hi"]


def test_an_element_with_name_is_repeated_for_each_variable_of_the_job():
    run = ["r", "--env={name}={value}", "-e{name}"]
    claim = claim_of(env='{"A": "1", "B": "{id}"}')
    assert words_of(claim, run=run)[1:5] == ["--env=A=1", "--env=B={id}", "-eA", "-eB"]
    assert words_of(run=run) == ["r", "echo", "hi"]


def test_an_element_with_seconds_is_there_only_with_a_timeout():
    assert words_of(run=["r", "-t{seconds}"]) == ["r", "echo", "hi"]
    assert words_of(run=["r", "-t{seconds}"], timeout=1.2)[1] == "-t2"


def test_what_a_value_looks_like_is_never_filled_again():
    run = ["r", "{host}", "{args}"]
    claim = claim_of(["{token}", "{args}"])
    found = words_of(claim, ["{id}"], run=run, values={"host": "{cwd}/x"})
    assert found == ["r", "/data/x", "{token}", "{args}", "{id}"]
    claim.cwd = "/{token}"
    assert words_of(claim, run=["r", "{host}"], values={"host": "{cwd}"})[1] == "/{token}"


def test_end_and_alive_get_their_own():
    one = mine(end=["e", "{signal}", "{seconds}", "{token}"], alive=["a", "{id}"])
    assert one.end_words(claim_of(), 2, "TERM", 9.5) == ["e", "TERM", "10", "c0ffee"]
    assert one.alive_words(claim_of(), 2) == ["a", "j1"]
    assert mine(end=None).end is None and mine().alive is None


def test_what_goes_to_a_remote_shell_arrives_as_it_was():
    hostile = [text for text in STRINGS if "\0" not in text and "\ud800" not in text]
    claim = claim_of(hostile, env='{"A": "$(touch x) \'"}')
    claim.cwd = "/a b/'c"
    found = words_of(claim, hostile, run=["r", "-C{cwd}", "--env={name}={value}", "{args}"], quoted=True)
    assert shlex.split(" ".join(found)) == ["r", "-C/a b/'c", "--env=A=$(touch x) '", *hostile, *hostile]


# ---------------------------------------------------------------- presets


@pytest.mark.parametrize("name", launchers.PRESETS)
def test_each_preset_is_whole_under_its_own_name_and_under_another(name):
    values = launchers.REQUIRED.get(name, {})
    setting = launchers.check({name: {"values": values}, "x": {"preset": name, "values": values}}, "launchers")
    for one in (launchers.named(setting, name), launchers.named(setting, "x")):
        words = one.command(claim_of(), ["true"], 1, None) + one.end_words(claim_of(), 1, "TERM", 1)
        words += one.alive_words(claim_of(), 1)
        assert one.run and not [word for word in words if launchers.names_in(word)]


def test_a_launcher_of_the_name_of_a_preset_with_a_run_of_its_own_is_none():
    one = launchers.named(launchers.check({"slurm": {"run": ["mine"]}}, "launchers"), "slurm")
    assert (one.run, one.end, one.env) == (["mine"], None, {})
    one = launchers.named(launchers.check({"slurm": {"preset": "slurm", "run": ["mine"]}}, "launchers"), "slurm")
    assert one.run == ["mine"] and one.end == launchers.PRESETS["slurm"]["end"]


def test_values_are_joined_with_those_of_the_preset():
    setting = launchers.check({"far": {"preset": "ssh", "values": {"host": "me@n1"}}}, "launchers")
    assert launchers.named(setting, "far").values == {"queuectl": "queuectl", "directory": "{cwd}", "host": "me@n1"}
    with pytest.raises(KeyError):
        launchers.named(setting, "other")


def test_variables_are_joined_with_those_of_the_preset():
    """Who tells Slurm where it is must not lose that srun's own failures are 75: they would cost retries."""
    for own, failure in (({}, "75"), ({"SLURM_EXIT_ERROR": "99"}, "99")):
        setting = launchers.check({"slurm": {"env": dict(own, SLURM_CONF="/c")}}, "launchers")
        assert launchers.named(setting, "slurm").env == {"SLURM_EXIT_ERROR": failure, "SLURM_CONF": "/c"}


# ---------------------------------------------------------------- refused

BAD = [
    ([], "an object such as"),
    ({"x y": {"run": ["r"]}}, "no name of a launcher"),
    ({"None": {"run": ["r"]}}, "no name of a launcher"),
    ({"x" * 65: {"run": ["r"]}}, "no name of a launcher"),
    ({"x": []}, "launchers: x: an object"),
    ({"x": {}}, "launchers: x: run is missing"),
    ({"x": {"aliv": ["r"]}}, "did you mean alive"),
    ({"x": {"preset": "slrum"}}, "did you mean slurm"),
    ({"x": {"preset": ["slurm"]}}, "unknown preset"),
    ({"slrum": {}}, "slrum: run is missing, and there is no preset of that name: did you mean slurm"),
    ({"x": {"preset": "ssh", "host": "h"}}, 'x: host is one of its values: {"values": {"host": ...}}'),
    ({"ssh": {"queuectl": "q"}}, "ssh: queuectl is one of its values"),
    ({"x": {"run": ["r"], "host": "h"}}, 'unknown key "host"'),
    ({"ssh": {}}, "ssh needs a value for host"),
    ({"docker": {}}, "docker needs a value for image"),
    ({"x": {"run": "r"}}, "x: run: a list"),
    ({"x": {"run": []}}, "x: run: a list"),
    ({"x": {"run": [""]}}, "x: run: a list"),
    ({"x": {"run": ["r", 1]}}, "x: run: 1 is not text"),
    ({"x": {"run": ["r", "a\0b"]}}, "NUL"),
    ({"x": {"run": ["r"], "end": "kill"}}, "x: end: a list"),
    ({"x": {"run": ["r", "{hots}"]}}, "x: run: {hots} is no placeholder here"),
    ({"x": {"run": ["r", "{signal}"]}}, "x: run: {signal} is no"),
    ({"x": {"run": ["r"], "end": ["e", "{args}"]}}, "x: end: {args} is no"),
    ({"x": {"run": ["r"], "alive": ["a", "{seconds}"]}}, "x: alive: {seconds} is no"),
    ({"x": {"run": ["r", "-x{args}"]}}, "{args} stands alone"),
    ({"x": {"run": ["r", "{args}", "{args}"]}}, "{args} comes twice"),
    ({"x": {"run": ["r", "{value}"]}}, "{value} goes with {name}"),
    ({"x": {"run": ["r", "{token}"], "attach": True}}, "take {far}"),
    ({"x": {"run": ["r", "{me}"], "attach": True, "values": {"me": "q-{token}"}}}, "take {far}"),
    ({"x": {"run": ["r"], "attach": 1}}, "x: attach: true or false"),
    ({"x": {"run": ["r"], "later_codes": [0]}}, "0 means"),
    ({"x": {"run": ["r"], "later_codes": [300]}}, "x: later_codes: 300"),
    ({"x": {"run": ["r"], "env": {"A": 1}}}, "x: env: the value of"),
    ({"x": {"run": ["r"], "values": {"id": "1"}}}, "x: values: \"id\" cannot be"),
    ({"x": {"run": ["r"], "values": {"a-b": "1"}}}, "cannot be the name"),
    ({"x": {"run": ["r"], "values": {"a": "{b}"}}}, "x: values: a: {b} is no"),
    ({"x": {"run": ["r" * 70000]}}, "longer than"),
    ({"x%d" % number: {"run": ["r"]} for number in range(65)}, "more than 64"),
]


@pytest.mark.parametrize(("value", "words"), BAD, ids=[words for _, words in BAD])
def test_what_cannot_be_meant_is_refused_in_one_line_that_names_it(value, words):
    with pytest.raises(BadInput) as refusal:
        launchers.check(value, "launchers")
    assert words in str(refusal.value) and "\n" not in str(refusal.value)
    assert str(refusal.value).startswith("launchers: ")
