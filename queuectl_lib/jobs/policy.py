"""What a job asks for its own attempts beyond a command: rules that stand together in one column, as JSON.

Nearly no job has any, so nearly none pays for them: the column is NULL then, and no worker loads this room. A new rule
is a row of RULES; from it come an option of `add`, a key of JSON, a line of `show`. What follows from a rule stands
where that is decided.
"""

from __future__ import annotations

import json

from queuectl_lib import times, values
from queuectl_lib.errors import BadInput

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
        is_list: bool = False,
    ) -> None:
        self.option: Fields = {"metavar": metavar, "help": text}
        if is_list:  # given more than once, it is one list, with commas
            self.option["action"] = "append"
        self.is_list = is_list
        self.check = check
        self.words = words
        self.shown = shown

    def in_words(self, key: str) -> Optional[Callable[[Any], object]]:
        """What the text of its option means, where that is not the text itself."""
        words = self.words
        if self.is_list:
            return lambda texts: words(",".join(texts), key) if words else ",".join(texts)
        return None if words is None else lambda text: words(text, key)


class Flag(Rule):
    """One that is or is not: where it is not, nothing is stored."""

    def __init__(self, text: str) -> None:
        super().__init__("", text, self.checked, shown=lambda value: "yes")
        self.option: Fields = {"action": "store_true", "default": None, "help": text}

    @staticmethod
    def checked(value: object, key: str) -> Optional[bool]:
        if not isinstance(value, bool):
            raise BadInput("%s: true or false is expected" % key)
        return value or None


def whole(low: int, high: int) -> Callable[[object, str], int]:
    """The check of a whole number from *low* to *high*."""
    return lambda value, key: values.check_integer(value, key, low, high)


def rule_check(key: str) -> Callable[[object, str], Any]:
    """The check of a rule whose room is loaded once it is given."""

    def check(value: object, name: str) -> Any:
        from queuectl_lib.jobs import retry_rules  # which most jobs need not

        return (retry_rules.check_backoff if key == "backoff" else retry_rules.check_codes)(value, name)

    return check


def share(text: str, key: str) -> object:
    from queuectl_lib.jobs import retry_rules  # the same

    return retry_rules.share(text, key)


def codes_text(codes: object) -> str:
    from queuectl_lib.jobs import retry_rules  # the same

    return retry_rules.codes_text(codes)


CODES = {
    "ok_codes": "exit codes that complete it, such as 0,24 or 0-3 (default: 0)",
    "later_codes": "exit codes that mean: again later, without spending a retry",
    "dead_codes": "exit codes that mean: no retry would help",
}


def limits() -> Any:
    """The room of the limits, which most jobs need not."""
    from queuectl_lib.jobs import limits as room

    return room


def interpreters() -> Any:
    """The room of those who read a text, which most jobs need not either."""
    from queuectl_lib.jobs import interpreters as room

    return room


def notices() -> Any:
    """The room of what a hook is told of, the same."""
    from queuectl_lib.jobs import notices as room

    return room


def launcher_words() -> Any:
    """The room of what is asked of launchers, the same."""
    from queuectl_lib.jobs import launcher_words as room

    return room


# key: the rule. In the order of `show` and JSON.
RULES: Dict[str, Rule] = {
    "nice": Rule(
        "N", "run so much behind others, from -20 to 19 (below 0: root only)", whole(-20, 19), values.whole_number
    ),
    "merge": Flag("take what it says on stderr as said on stdout, in the order in which it was written"),
    "shell": Rule(
        *("SHELL", "who reads the text, such as /bin/bash (default: the setting shell, else /bin/sh)"),
        lambda value, key: interpreters().check_shell(value, key),
    ),
    "limit": Rule(
        "NAME=VALUE[,...]",
        "bound each of its processes: cpu=1h, fsize=10G, nofile=1024, nproc=200, core=0, as=8G (address space)",
        lambda value, key: limits().check(value, key),
        lambda text, key: limits().from_text(text, key),
        lambda value: str(limits().shown(value)),
        is_list=True,
    ),
    **{key: Rule("CODES", text, rule_check(key), shown=codes_text, is_list=True) for key, text in CODES.items()},
    "max_snoozes": Rule(
        "N", "so often it may ask to run again later (default 100)", whole(0, 1000000), values.whole_number
    ),
    "backoff": Rule(
        "SPEC", "waits between retries: exponential:2, linear:30s, fixed:30s or a list 30s,2m", rule_check("backoff")
    ),
    "backoff_cap": Rule(
        *("DURATION", "no retry waits longer than that", times.parse_duration),
        shown=lambda seconds: values.number_text(seconds) + " s",
    ),
    "jitter": Rule(
        *("SHARE", "each wait is up to so much longer, other for each job: 20%% or 0.2"),
        *(lambda value, key: values.check_number(value, key, 0, 1), share),
        shown=lambda part: values.number_text(part * 100) + "%",
    ),
    "notify": Rule(
        "WORDS",
        "have the hook told of this job beyond hook_on: dead, completed, failed, snoozed, cancelled, running_long",
        lambda value, key: notices().check_rule(value, key),
        lambda text, key: notices().words_of(text, key),
        shown=lambda words: ",".join(words) if isinstance(words, list) else str(words),
        is_list=True,
    ),
    "launcher": Rule(
        *("NAME", "who starts it elsewhere, of those in config.json; none: it runs here, whatever its queue says"),
        lambda value, key: launcher_words().check_chosen(value, key),
    ),
    "launcher_args": Rule(
        *("WORDS", 'what its launcher is given with it: "--mem=4G -c2"'),
        lambda value, key: launcher_words().check_args(value, key),
        lambda text, key: launcher_words().args_of(text, key),
        shown=lambda words: str(launcher_words().args_text(words)),
    ),
}


def of(get: Callable[[str], object]) -> Optional[str]:
    """The rules of a new job as they are stored; None for none. Raises BadInput."""
    found: Fields = {}
    for key, rule in RULES.items():
        value = get(key)
        checked = None if value is None else rule.check(value, key)
        if checked is not None:
            found[key] = checked
    if len(found) > 1 and len(found.keys() & CODES.keys()) > 1:
        from queuectl_lib.jobs import retry_rules  # the same

        retry_rules.refuse_twice(found)
    return stored(found)


def stored(found: Fields) -> Optional[str]:
    """Rules as a row has them."""
    return json.dumps(found, sort_keys=True, ensure_ascii=False, separators=(",", ":")) if found else None


def rule_of(text: Optional[str], key: str) -> Any:
    """What a job has for the rule *key*, of what is stored; None for nothing. Raises ValueError."""
    found = json.loads(text) if text else {}
    if not isinstance(found, dict):
        raise ValueError
    return found.get(key)
