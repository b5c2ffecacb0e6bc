"""docs/json.md as data, and what stands in a value of JSON by the same names: for the test that holds both together.

In the text a command is a heading, its value a line ("Value: an object", "Value: an array", "Value: an array of `job`"
...), its keys are the rows of a table: `a.b` stands in the object a, `a[].b` in the objects of the array a, `a.*` for
whatever the keys of a are.
"""

import os
import re

from helpers.bundle import ROOT

PATH = os.path.join(ROOT, "docs", "json.md")
HEADING = re.compile(r"### ((?:`[^`]+`(?:, )?)+)\Z")
VALUE = re.compile(r"Value: (an object|an array|any)(?: of `(\w+)`)?(?: \(or (.*)\))?\.\Z")
ROW = re.compile(r"\| `([^`]+)` \| ([^|]+) \| ([^|]*) \| (\d+\.\d+\.\d+) \| (.+) \|\Z")
TYPES = {"text", "integer", "number", "boolean", "null", "object", "array"}


class Told:
    """What the text says of one command or shape."""

    def __init__(self):
        self.values = []  # "an object", "an array", "any"
        self.shapes = []
        self.keys = {}  # path: its types


def read():
    """All commands and shapes of the text, by name, and the codes of errors."""
    found, current = {}, []
    with open(PATH, encoding="utf-8") as file:
        text = file.read()
    for line in text.splitlines():
        heading, value, row = HEADING.match(line), VALUE.match(line), ROW.match(line)
        if heading:
            names = re.findall(r"`([^`]+)`", heading.group(1))
            assert not [name for name in names if name in found], "%s comes twice" % names
            current = Told()
            found.update(dict.fromkeys(names, current))
        elif value:
            current.values.append((value.group(1), value.group(3)))
            current.shapes += [value.group(2)] if value.group(2) else []
        elif row:
            key, types = row.group(1), set(row.group(2).split(" or "))
            assert types <= TYPES, line
            assert key not in current.keys, "%s comes twice" % key
            current.keys[key] = types
    return found


def codes():
    """The codes of errors of the text, with the exit code of each."""
    with open(PATH, encoding="utf-8") as file:
        return {code: int(number) for code, number in re.findall(r"^\| `(\w+)` \| (\d+) \| .+ \|$", file.read(), re.M)}


def problems():
    """The kinds of problems of `check`, with the facts of each."""
    with open(PATH, encoding="utf-8") as file:
        rows = re.findall(r"^\| (`\w+`(?: `\w+`)*) \| ([^|]+) \|$", file.read(), re.M)
    return {kind: set(re.findall(r"`(\w+)`", facts)) for kinds, facts in rows for kind in re.findall(r"\w+", kinds)}


def keys_of(told, shapes):
    """The keys of a command together with those of the shape that its value is."""
    found = dict(told.keys)
    for shape in told.shapes + ["job" for _, others in told.values if others and "of jobs" in others]:
        found.update(shapes[shape].keys)
    return found


def type_of(value):
    if value is None:
        return "null"
    names = {bool: "boolean", int: "integer", float: "number", str: "text", list: "array", dict: "object"}
    return names[type(value)]


def parts(value, known, path=""):
    """(path, type) of all that stands in *value*; an object of which only `path.*` is known is gone through by that."""
    if isinstance(value, list):
        for one in value:
            yield path + "[]", type_of(one)
            yield from parts(one, known, path + "[]")
    elif isinstance(value, dict):
        any_key = path + ".*"
        for key, one in value.items():
            place = "%s.%s" % (path, key) if path else key
            place = any_key if any_key in known and place not in known else place
            yield place, type_of(one)
            if place != any_key or any(name.startswith(any_key + ".") for name in known):
                yield from parts(one, known, place)
