"""Launchers: programs that start a job elsewhere, end it there, and tell whether it lives; as config.json has them.

A launcher is three lists of arguments (no shell, unless one of them says sh), with placeholders inside:

    run      what is started here in place of the job; the job's own words follow
    end      called in place of signals to what runs here; null: that is signalled as ever
    alive    exits with 0: the job is there; 1: it is gone; anything else: not known; null: nobody is asked

Only the worker's config.json has them: no job can bring one along. Loaded where one is named, and not before.
"""

from __future__ import annotations

import json
import math
import re
import shlex

from queuectl_lib import errors, values
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import launcher_presets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

    from queuectl_lib.jobs.attempts import Claim
    from queuectl_lib.values import Fields

NAME = r"[A-Za-z0-9._-]{1,64}\Z"
NONE = "none"  # in place of a name: here
MOST, LONGEST = 64, 65536  # launchers, and bytes of JSON of one
PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
OF_ALL = ("token", "far", "id", "attempt", "cwd")
OF_RUN = ("args", "name", "value", "seconds")
OF_END = ("signal", "seconds")
KEYS = ("preset", "run", "end", "alive", "later_codes", "env", "attach", "quoted", "values")
NOTHING: Fields = {
    "run": [], "end": None, "alive": None, "later_codes": [], "env": {}, "attach": False, "quoted": False, "values": {}
}  # fmt: skip

PRESETS, REQUIRED = launcher_presets.PRESETS, launcher_presets.REQUIRED


class Launcher:
    """One launcher, whole: what its settings say, and its preset where they say nothing."""

    def __init__(self, name: str, facts: Fields) -> None:
        self.name = name
        self.run: List[str] = facts["run"]
        self.end: Optional[List[str]] = facts["end"]
        self.alive: Optional[List[str]] = facts["alive"]
        self.later_codes: List[int] = facts["later_codes"]
        self.env: Dict[str, str] = facts["env"]
        self.attach: bool = facts["attach"]
        self.quoted: bool = facts["quoted"]
        self.values: Dict[str, str] = facts["values"]

    def command(self, claim: Claim, words: List[str], attempt: int, timeout: Optional[float]) -> List[str]:
        """What is started here, for a job that is to run *words* there, for *timeout* seconds at most (None: no end).

        *attempt* is the number of the attempt that began the far job.
        """
        facts = self.facts(claim, attempt)
        if timeout is not None:
            facts["seconds"] = str(math.ceil(timeout))
        given = [self.quote(word) for word in claim.launcher_args]
        found: List[str] = []
        for element in self.run:
            names = names_in(element)
            if element == "{args}":
                found += given
            elif "name" in names:
                pairs = [{"name": name, "value": value} for name, value in claim.env.items()]
                found += [self.filled(element, dict(facts, **pair)) for pair in pairs]
            elif timeout is not None or "seconds" not in names:
                found.append(self.filled(element, facts))
        if "{args}" not in self.run:
            found += given
        return found + [self.quote(word) for word in words]

    def end_words(self, claim: Claim, attempt: int, signal: str, grace: float) -> List[str]:
        """What sends *signal*, TERM or KILL, to the far job; after TERM it has *grace* seconds."""
        facts = dict(self.facts(claim, attempt, claim.far_token), signal=signal, seconds=str(math.ceil(grace)))
        return [self.filled(element, facts) for element in self.end or []]

    def alive_words(self, claim: Claim, attempt: int) -> List[str]:
        """What tells whether the far job is there."""
        facts = self.facts(claim, attempt, claim.far_token)
        return [self.filled(element, facts) for element in self.alive or []]

    def facts(self, claim: Claim, attempt: int, token: str = "") -> Dict[str, str]:
        """What the placeholders mean; *token* that of who began what is ended, or asked after."""
        found = {"token": token or claim.token, "far": claim.far_token, "id": claim.id, "cwd": claim.cwd}
        found["attempt"] = str(attempt)
        for name, value in self.values.items():
            found[name] = filled(value, {key: found[key] for key in OF_ALL})
        return found

    def filled(self, element: str, facts: Dict[str, str]) -> str:
        return filled(element, {name: self.quote(value) for name, value in facts.items()})

    def quote(self, word: str) -> str:
        return shlex.quote(word) if self.quoted else word


def names_in(element: str) -> List[str]:
    return PLACEHOLDER.findall(element)


def filled(element: str, facts: Dict[str, str]) -> str:
    """*element* with what its placeholders mean; in one go, so that nothing in a value is taken for one."""
    return PLACEHOLDER.sub(lambda found: facts.get(found.group(1), found.group(0)), element)


def named(launchers: Fields, name: str) -> Launcher:
    """The launcher *name* of the setting *launchers*, as it was checked. Raises KeyError where it is not there."""
    return Launcher(name, whole(name, launchers[name])[1])


def whole(name: str, own: Fields) -> Tuple[str, Fields]:
    """What the launcher *name* is by its *own* settings and its preset; the name of that, "" for none."""
    preset = own.get("preset", "" if "run" in own or name not in PRESETS else name)
    base = PRESETS.get(preset, {})
    found = dict(NOTHING, **base)
    found.update({key: value for key, value in own.items() if key != "preset"})
    for key in ("env", "values"):
        found[key] = dict(base.get(key, {}), **own.get(key, {}))
    return preset, found


def asks(name: str, own: Fields) -> Fields:
    """What decides whom the launcher *name* asks after a job."""
    launcher = whole(name, own)[1]
    return {key: launcher[key] for key in ("alive", "env", "values")}


def refuse_unknown(name: str, launchers: Fields, key: str) -> None:
    """Raise BadInput where there is no launcher *name* on this host, with those that there are."""
    if name in launchers:
        return
    if not launchers:
        text = "%s: there is no launcher %s in config.json, nor any other: `config set launchers '%s'` makes one"
        preset = name if name in PRESETS else "slurm"
        made = {preset: {"values": REQUIRED[preset]} if preset in REQUIRED else {}}
        raise BadInput(text % (key, errors.shown(name), json.dumps(made)), "unknown_name")
    refusal = errors.unknown_name("launcher", name, list(launchers))
    raise BadInput("%s: %s" % (key, refusal), refusal.code)


# ---------------------------------------------------------------- the setting, checked


def check(value: object, key: str) -> Fields:
    """The launchers of a config.json, by name. Raises BadInput."""
    if not isinstance(value, dict):
        raise BadInput('%s: an object such as {"slurm": {}} is expected' % key)
    if len(value) > MOST:
        raise BadInput("%s: more than %d" % (key, MOST))
    return {check_name(name, key): check_one(name, own, "%s: %s" % (key, name)) for name, own in value.items()}


def check_name(name: object, key: str) -> str:
    """*name* where it can be that of a launcher. Raises BadInput."""
    if isinstance(name, str) and re.match(NAME, name) and name.lower() != NONE:
        return name
    words = "%s: %s is no name of a launcher: up to 64 letters, digits and . _ -, and not none"
    raise BadInput(words % (key, errors.shown(name)))


def check_one(name: str, own: object, where: str) -> Fields:
    if not isinstance(own, dict):
        raise BadInput('%s: an object such as {"run": [...]} is expected' % where)
    for key in own:
        if key not in KEYS:
            refuse_key(key, name, own, where)
    if "preset" in own and (not isinstance(own["preset"], str) or own["preset"] not in PRESETS):
        raise BadInput("%s: %s" % (where, errors.unknown_name("preset", own["preset"], list(PRESETS))))
    if len(json.dumps(own)) > LONGEST:
        raise BadInput("%s: longer than %d bytes: put it into a script, and name that" % (where, LONGEST))
    found = {key: CHECKS[key](value, "%s: %s" % (where, key)) for key, value in own.items()}
    preset, launcher = whole(name, found)
    for wanted, example in REQUIRED.get(preset, {}).items():
        if wanted not in launcher["values"] and "run" not in found:
            given = '{"values": {"%s": "%s"}}' % (wanted, example)
            raise BadInput("%s: %s needs a value for %s, such as %s" % (where, preset, wanted, given))
    if not launcher["run"]:
        from queuectl_lib import meant  # needed only to refuse

        hint = meant.hint("preset", name, list(PRESETS))
        raise BadInput("%s: run is missing, and there is no preset of that name: %s" % (where, hint))
    refuse_placeholders(launcher, where)
    return found


def refuse_key(key: str, name: str, own: Fields, where: str) -> None:
    """Raise BadInput for a *key* that no launcher has, with its place where it is a value of the preset."""
    preset = own.get("preset", name)
    base = PRESETS.get(preset, {}) if isinstance(preset, str) else {}
    if key in base.get("values", {}) or (base and key in REQUIRED.get(preset, {})):
        raise BadInput('%s: %s is one of its values: {"values": {"%s": ...}}' % (where, key, key))
    raise BadInput("%s: %s" % (where, errors.unknown_name("key", key, KEYS)))


def check_words(value: object, key: str) -> List[str]:
    if not isinstance(value, list) or not value or not value[0]:
        raise BadInput('%s: a list of arguments such as ["my-run", "{args}"] is expected' % key)
    return [values.check_text(word, key) for word in value]


def check_codes(value: object, key: str) -> List[int]:
    from queuectl_lib.jobs import retry_rules  # needed only here

    found = retry_rules.check_codes(value, key)
    if 0 in found:
        raise BadInput("%s: 0 means that the job has succeeded" % key)
    return found


def check_env(value: object, key: str) -> Dict[str, str]:
    if not isinstance(value, dict):
        raise BadInput("%s: an object of names and values is expected" % key)
    for name, text in value.items():
        if not values.check_text(name, key) or "=" in name:
            raise BadInput("%s: %s is not the name of a variable" % (key, errors.shown(name)))
        if not isinstance(text, str) or "\0" in text:  # no message ever holds one
            raise BadInput("%s: the value of %s is not text" % (key, errors.shown(name)))
    return dict(value)


def check_flag(value: object, key: str) -> bool:
    if not isinstance(value, bool):
        raise BadInput("%s: true or false is expected" % key)
    return value


def check_values(value: object, key: str) -> Dict[str, str]:
    if not isinstance(value, dict):
        raise BadInput('%s: an object such as {"host": "me@node1"} is expected' % key)
    for name, text in value.items():
        if not PLACEHOLDER.fullmatch("{%s}" % name) or name in OF_ALL + OF_RUN + OF_END:
            raise BadInput("%s: %s cannot be the name of a placeholder of yours" % (key, errors.shown(name)))
        values.check_text(text, "%s: %s" % (key, name))
        refuse_odd(text, OF_ALL, "%s: %s" % (key, name))
    return dict(value)


def words_or_none(value: object, key: str) -> Optional[List[str]]:
    return None if value is None else check_words(value, key)


CHECKS: Dict[str, Callable[[object, str], Any]] = {
    "preset": lambda value, key: value,
    "run": check_words,
    "end": words_or_none,
    "alive": words_or_none,
    "later_codes": check_codes,
    "env": check_env,
    "attach": check_flag,
    "quoted": check_flag,
    "values": check_values,
}


def refuse_placeholders(launcher: Fields, where: str) -> None:
    """Raise BadInput where a list of a *launcher* has what would never be filled, or joins what cannot be joined."""
    own = tuple(launcher["values"])
    for key, more in (("run", OF_RUN), ("end", OF_END), ("alive", ())):
        for element in launcher[key] or []:
            refuse_odd(element, OF_ALL + more + own, "%s: %s" % (where, key))
    for element in launcher["run"]:
        names = names_in(element)
        if "args" in names and element != "{args}":
            raise BadInput("%s: run: {args} stands alone in an element: there it is several" % where)
        if "value" in names and "name" not in names:
            raise BadInput("%s: run: {value} goes with {name} in one element" % where)
    if launcher["run"].count("{args}") > 1:
        raise BadInput("%s: run: {args} comes twice" % where)
    text = "%s: attach: run names the far job by {token}, another one for each attempt: take {far}"
    elements = [filled(element, launcher["values"]) for element in launcher["run"]]  # it may stand in a value, too
    if launcher["attach"] and [element for element in elements if "token" in names_in(element)]:
        raise BadInput(text % where)


def refuse_odd(element: str, known: Tuple[str, ...], where: str) -> None:
    for name in names_in(element):
        if name not in known:
            there = " ".join("{%s}" % one for one in known)
            raise BadInput("%s: {%s} is no placeholder here: there are %s" % (where, errors.printable(name), there))
