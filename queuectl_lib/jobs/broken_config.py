"""JSON of a config.json, or of `config set`, that cannot be read: what is wrong with it, and where it stands."""

from __future__ import annotations

import json

from queuectl_lib import errors, values
from queuectl_lib.errors import BadInput
from queuectl_lib.values import Unwanted


def words(error: Exception, text: str) -> str:
    """What is wrong with *text*, which was read with values.unique_keys and raised *error*."""
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8 at byte %d" % error.start
    if isinstance(error, Unwanted):
        place = max(0, text.rfind(error.words))
        line, column = text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)
        return "line %d, column %d: %s" % (line, column, error)
    if isinstance(error, json.JSONDecodeError):
        return "line %d, column %d: %s" % (error.lineno, error.colno, error.msg)
    return str(error)


def of_text(text: str, key: str) -> object:
    """The object that a command line says as JSON for the setting *key*; an empty one for none. Raises BadInput."""
    if text.lower() in ("none", "null", ""):
        return {}
    try:
        return json.loads(text, object_pairs_hook=values.unique_keys, parse_constant=values.refuse_constant)
    except (ValueError, RecursionError, BadInput) as error:
        told = "%s: %s is no JSON such as {\"slurm\": {}}: %s"
        raise BadInput(told % (key, errors.shown(text), words(error, text))) from None
