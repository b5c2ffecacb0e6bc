"""What a job has beside its row, in tables of its own: checked here, and put there by store/beside."""

from __future__ import annotations

import json
import re

from queuectl_lib import errors
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import after, ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional

TAGS_MOST = 16
TAG = r"[A-Za-z0-9_][A-Za-z0-9_.:@+=/-]{0,63}\Z"


def of(get: Callable[[str], object]) -> Optional[str]:
    """What the job whose fields *get* gives has beside its row, as JSON; None for nothing. Raises BadInput."""
    found: Dict[str, object] = {}
    if get("tags") is not None:
        found["tags"] = check_tags(get("tags"))
    parents = parents_of(get)
    found["edges"] = [[parent, after.KINDS[key]] for key in parents for parent in parents[key]]
    found = {key: value for key, value in found.items() if value}
    return json.dumps(found) if found else None


def check_tags(value: object) -> List[str]:
    """The tags of a job, each once."""
    if not isinstance(value, list):
        raise BadInput("tags: %s is no list of words" % errors.shown(value))
    if len(value) > TAGS_MOST:
        raise BadInput("tags: more than %d" % TAGS_MOST)
    return sorted({check_tag(tag) for tag in value})


def check_tag(value: object) -> str:
    """*value* when it can be a tag."""
    if isinstance(value, str) and re.match(TAG, value):
        return value
    text = "tags: %s is no tag: up to 64 letters, digits and _ . : @ + = / -, the first a letter, digit or _"
    raise BadInput(text % errors.shown(value))


PARENTS_MOST = 10000


def parents_of(get: Callable[[str], object]) -> Dict[str, List[str]]:
    """The ids that a job is to come after, by their key, each once. Raises BadInput."""
    found: Dict[str, List[str]] = {}
    seen: Dict[str, str] = {}
    for key in after.KINDS:
        value = get(key)
        if value is None:
            continue
        if not isinstance(value, list):
            raise BadInput("%s: %s is no list of ids" % (key, errors.shown(value)))
        for one in value:
            identifier = checked(key, one, get("id"))
            if seen.setdefault(identifier, key) != key:
                raise BadInput("%s: job %s stands under %s, too" % (key, identifier, seen[identifier]))
        found[key] = list(dict.fromkeys(value))
    if len(seen) > PARENTS_MOST:
        raise BadInput("after: %d jobs: %d at the most" % (len(seen), PARENTS_MOST))
    return found


def checked(key: str, value: object, own: object) -> str:
    """The id of a parent of the job with the id *own*. Raises BadInput."""
    try:
        identifier = ids.check_id(value)
    except BadInput as error:
        raise BadInput("%s: %s" % (key, str(error)[len("id: ") :])) from None
    if identifier == own:
        raise BadInput("%s: job %s cannot come after itself" % (key, identifier))
    return identifier
