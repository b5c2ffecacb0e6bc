"""What a job asks for its own attempts beyond a command: rules that stand together in one column, as JSON.

Nearly no job has any, so nearly none pays for them: the column is NULL then, and no worker loads this room. A new rule
is a row of RULES; from it come an option of `add`, a key of JSON, a line of `show`. What follows from a rule stands
where that is decided.
"""

from __future__ import annotations

import json

from queuectl_lib import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

    from queuectl_lib.values import Fields


class Rule:
    """One rule. *metavar*, *text*: of its option; *words*: what its text means; *check*: what is stored of that."""

    def __init__(
        self,
        metavar: str,
        text: str,
        check: Callable[[object, str], Any],
        words: Optional[Callable[[str, str], object]] = None,
        shown: Callable[[Any], str] = str,
    ) -> None:
        self.option = {"metavar": metavar, "help": text}
        self.check = check
        self.words = words
        self.shown = shown

    def in_words(self, key: str) -> Optional[Callable[[Any], object]]:
        """What the text of its option means, where that is not the text itself."""
        words = self.words
        return None if words is None else lambda text: words(text, key)


def whole(low: int, high: int) -> Callable[[object, str], int]:
    """The check of a whole number from *low* to *high*."""
    return lambda value, key: values.check_integer(value, key, low, high)


# key: the rule. In the order of `show` and JSON.
RULES: Dict[str, Rule] = {
    "nice": Rule(
        "N", "run so much behind others, from -20 to 19 (below 0: root only)", whole(-20, 19), values.whole_number
    ),
}


def of(get: Callable[[str], object]) -> Optional[str]:
    """The rules of a new job as they are stored; None for none. Raises BadInput."""
    found: Fields = {}
    for key, rule in RULES.items():
        value = get(key)
        if value is not None:
            found[key] = rule.check(value, key)
    return json.dumps(found, sort_keys=True, ensure_ascii=False, separators=(",", ":")) if found else None


def rule_of(text: Optional[str], key: str) -> Any:
    """What a job has for the rule *key*, of what is stored; None for nothing. Raises ValueError."""
    return json.loads(text).get(key) if text else None
