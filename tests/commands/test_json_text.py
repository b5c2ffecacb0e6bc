"""docs/json.md and what commands print with --json: the same keys, of the same types; and the codes of errors."""

import ast

import pytest
from helpers import json_home, json_text
from helpers.house import ROOMS, TREES
from helpers.marks import posix_only

from queuectl_lib import errors
from queuectl_lib.commands import COMMANDS, frame

pytestmark = posix_only
SHAPES = {"ended", "job", "queue", "schedule"}
TOLD = json_text.read()

# Documented, and not brought about here, as (command or shape, key, type): it needs another system, damage, a race or
# more time than a test should take.
UNSEEN = {
    ("worker list", "state", "text"),
    ("add", "result", "text"),  # a job that has run and holds its key
    ("dlq groups", "canary", "object"),
    *(("dlq groups", "canary.*", kind) for kind in ("integer", "null", "text")),
    *(("dlq groups", key, "null") for key in ("failures", "first_at", "last_at", "text", "verdict")),
    ("dlq list", "running_seconds", "number"),
    ("dlq list", "usual_seconds", "number"),
    ("dlq retry", "left_cancelled[]", "text"),
    *(("ended", key, "null") for key in ("duration", "id", "kind", "seq", "state")),  # of damage, and of old ones
    ("ended", "waited", "null"),  # of a later attempt
    ("ended", "peak_rss", "integer"),  # where the system tells it
    ("job", "limit.*", "null"),
    ("job", "progress.text", "null"),
    ("job", "umask", "null"),  # on Windows
    ("requeue", "left_cancelled[]", "text"),
    *(("schedule", key, "text") for key in ("last_job", "last_slot", "trouble")),
    ("schedule import", "job.*", "array"),
    ("schedule import", "job.*", "object"),
    *(("run", "history[]." + key, "text") for key in ("command", "erased", "leftovers", "oom")),
    ("run", "history[].command", "array"),
    ("export", "left[]", "text"),  # tests/commands/test_export
    ("run", "history[].launcher", "text"),  # tests/reports/test_unknown_launchers
    ("run", "history[].joined", "integer"),
    ("run", "history[].note.progress.text", "null"),
    ("run", "history[].peak_rss", "integer"),  # where the system tells it
    ("run", "history[].peak_rss_under", "integer"),
    ("stats", "cpu", "null"),
    ("stats", "last_at", "null"),
    ("stats", "peak_rss", "integer"),
    ("status", "eta_seconds", "number"),
    ("status", "progress.*.text", "null"),
    ("status", "running[].progress.text", "null"),
    ("top", "eta_seconds", "number"),
    ("top", "ends[].seconds", "null"),  # of a damaged row
    *(("top", "running[].%s_seconds" % name, "number") for name in ("usual", "p95")),
    ("top", "running[].progress.text", "null"),
    ("wait", "not_completed[].id", "null"),  # of one that was deleted meanwhile
    ("why", "eta", "text"),
    ("why", "reasons[].*", "object"),
    ("worker list", "asked", "text"),
    ("worker list", "trouble", "text"),
}


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """What each command has printed in a home with jobs of all states."""
    return json_home.speak(str(tmp_path_factory.mktemp("json") / "home"))


def found_in(spoken, name):
    """(path, type) of all that the command *name* has printed, its array left out."""
    known = json_text.keys_of(TOLD[name], TOLD)
    for value in spoken.get(name, ()):
        for path, kind in json_text.parts(value, {**known, **{"[]." + key: types for key, types in known.items()}}):
            if path != "[]":
                yield path[3:] if path.startswith("[].") else path, kind


def fits(kind, types):
    return kind in types or (kind == "integer" and "number" in types)


def test_every_command_takes_json_and_is_in_the_text():
    assert set(TOLD) - SHAPES == set(COMMANDS)
    assert [name for name in COMMANDS if not frame.load(name).shows] == []
    assert [name for name in COMMANDS if len(TOLD[name].values) != 1] == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_what_a_command_prints_is_in_the_text(spoken, name):
    assert spoken.get(name), "it was not called"
    expected, others = TOLD[name].values[0]
    for value in spoken[name]:
        kind = json_text.type_of(value)
        assert kind in expected or (others and (kind == "array" or "value" in others)), kind
    known = json_text.keys_of(TOLD[name], TOLD)
    new = {"%s: %s" % one for one in found_in(spoken, name) if not fits(one[1], known.get(one[0], ()))}
    assert new == set(), "see docs/json.md"


def test_what_is_in_the_text_is_printed(spoken):
    """Of a shape it is enough that one of its commands prints a key."""
    printed = {}
    for name in COMMANDS:
        for path, kind in found_in(spoken, name):
            for shape in [name, *TOLD[name].shapes]:
                printed.setdefault(shape, set()).add((path, kind))
    missing = set()
    for told in TOLD.values():
        alike = {other for other in TOLD if TOLD[other] is told}  # under one heading
        seen = set().union(*(printed.get(one, set()) for one in alike))
        for key, types in told.keys.items():
            for kind in types:
                if not any(path == key and (one == kind or (one, kind) == ("integer", "number")) for path, one in seen):
                    missing.add((min(alike), key, kind))
    assert sorted(missing - UNSEEN) == []
    assert {(name, key) for name, key, _ in UNSEEN} <= {(name, key) for name, told in TOLD.items() for key in told.keys}


def test_each_problem_of_check_has_the_facts_of_its_kind(spoken):
    told, seen = json_text.problems(), set()
    for value in spoken["check"]:
        for problem in value["problems"]:
            facts = set(problem) - {"kind", "text"}
            assert facts and facts <= told[problem["kind"]], problem
            seen.add(problem["kind"])
    assert seen >= {"waiting", "workers", "lock", "disk", "expected", "dead"}


# ---------------------------------------------------------------- errors


def raised():
    """(code, exit code, where) of every code that stands in the program."""
    kinds = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    for name in ROOMS:
        for node in ast.walk(TREES[name]):
            called = getattr(node, "func", None)
            kind = kinds.get(getattr(called, "id", getattr(called, "attr", "")))
            if kind and issubclass(kind, errors.QueueError) and len(node.args) > 1:
                for one in ast.walk(node.args[1]):
                    if isinstance(one, ast.Constant) and one.value:
                        yield one.value, kind.exit_code, name


def test_the_codes_of_errors_are_those_of_the_text():
    assert set(json_text.codes()) == set(errors.CODES) and len(errors.CODES) == len(set(errors.CODES))
    found = list(raised())
    assert len({code for code, _, _ in found}) > 15
    told = json_text.codes()
    assert [one for one in found if told.get(one[0]) != one[1]] == []
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.QueueError):
            assert told[kind.code] == kind.exit_code
