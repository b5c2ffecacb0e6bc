"""The user's own line put right: what is refused in it exchanged, all the rest kept.

A line is given only where the parser takes it as it stands. Where none is, the tables' own lines must do.
"""

from __future__ import annotations

import re
import time

from queuectl_lib import errors, meant, times, values
from queuectl_lib.commands import COMMANDS, frame, option_words, words
from queuectl_lib.errors import BadInput
from queuectl_lib.host import system
from queuectl_lib.jobs import moments, own_calls, states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Action, Namespace
    from typing import List, Mapping, Optional, Sequence, Tuple

MOST = 160  # characters of a line
SECRET = r"(?i)pass|secret|token|credential|api_?key|\A(?!--|as=\d)[^=]*=|://[^/]*@"  # may be one, and is not repeated
# Left out, or flags here, together with the word that follows.
VALUED = (
    *("reason", "comment", "message", "note", "loglevel", "logfile", "log", "format", "output", "sort", "order"),
    *("columns", "fields", "interval"),
)
# Who does nothing without being told which jobs.
NEEDY = ("show", "logs", "results", "cancel", "requeue", "rerun", "hold", "release", "edit", "dlq retry")
STATES = {**{state: state for state in states.STATES}, **meant.OTHER_WORDS["state"]}
VAGUE = ("new", "open", "retry", "ok", "error", "started", "stopped", "removed", "deleted", "ready")  # as an option


def line(name: str, said: Sequence[str], behind: Optional[Sequence[str]] = None) -> str:
    """The call of the command *name* with the words *said*, its options as they are called here; "" where none is."""
    found = translated(name, said)
    return "" if found is None else shown(name, found, behind)


def shown(name: str, said: Sequence[str], behind: Optional[Sequence[str]] = None) -> str:
    """The call of *name* as it is typed, where it can be; else "", as where it is long or may hold a secret.

    As in all lines to type the home is left out with the name of the program.
    """
    said = [*own_calls.without_home(list(said))[0], *(["--", *behind] if behind is not None else [])]
    if [word for word in said if re.search(SECRET, word) or not word.isprintable()]:
        return ""
    end = said.index("--") if "--" in said else len(said)
    try:
        options = frame.load(name).parse(list(said[:end]))
    except (BadInput, frame.HelpAsked, SystemExit):
        return ""
    if name in ("add", "schedule set") and options.command is None and behind is None:
        return ""
    text = " ".join([name, *(word if word in ("ID", "N") else system.typed([word]) for word in said)])
    if name in NEEDY and not options.ids and not options.all and not chooses(options):
        text += " ID"
    return text if len(text) <= MOST else ""


def chooses(options: object) -> bool:
    """True where a condition says which jobs."""
    from queuectl_lib.commands import choosing  # which has the names of them

    return any(getattr(options, one, None) is not None for one in choosing.CONDITIONS)


# ---------------------------------------------------------------- options


def actions_of(name: str, said: Sequence[str] = ()) -> Mapping[str, Action]:
    return frame.load(name).parser(list(said))._option_string_actions


def translated(name: str, said: Sequence[str]) -> Optional[List[str]]:
    """The words *said* with each option that *name* does not have exchanged; None where one is not known at all."""
    actions, rest = actions_of(name, said), list(said)
    found: List[str] = []
    while rest:
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        if not word.startswith("-") or word == "-" or option in actions or word[:2] in actions:
            found.append(word)
            if option in actions and actions[option].nargs != 0 and not equals:
                found += [rest.pop(0)] if rest else []
            continue
        joined = re.match(r"(-[A-Za-z])([0-9]+)\Z", word)  # -j4
        if joined:
            option, equals, value = joined.group(1), "=", joined.group(2)
        given = [value] if equals else [] if not rest or rest[0].startswith("-") else rest[:1]
        others = [one for one in [*found, *rest[bool(given and not equals) :]] if not one.startswith("-")]
        exchanged = exchange(name, option, given, actions, bool(others))
        if exchanged is None:
            return None
        found += exchanged[0]
        if exchanged[1] and not equals:
            rest.pop(0)
    return found


def exchange(
    name: str, option: str, given: Sequence[str], actions: Mapping[str, Action], beside: bool
) -> Optional[Tuple[Sequence[str], bool]]:
    """What is typed here in place of *option* and the word *given* behind it, and whether that word is used up.

    *beside* it stand other words.
    """
    stem = meant.plain(option[: errors.NAME_CHARACTERS])
    answer = special(name, stem, given)
    if not answer:
        near = [one for one in likeness(option, actions) if not one.startswith("--env")]
        if len(near) != 1:
            return None
        takes = actions[near[0]].nargs != 0
        return [near[0], *(given if takes else [])], takes and bool(given)
    own = own_line(name, stem, answer)
    of_add = re.match("`add (--[a-z-]+ [^ ]+) ", answer[answer.find("`") :])
    if own is None and of_add and of_add.group(1).split()[0] in actions:
        own = "%s %s" % (name, of_add.group(1))
    if own is None and "--dry-run`" in answer and "--dry-run" in actions:
        return ["--dry-run"], False
    if own is None:
        return None
    kind = own[len(name) :].split()
    if not kind:
        if name == "rerun" and not beside:
            return given, bool(given)  # there is nothing else that it could be than the id
        return [], (stem in VALUED or name == "rerun") and bool(given)
    if not kind[0].startswith("-"):
        return given, bool(given)  # a word that needs no option
    action = actions.get(kind[0])
    if action is None:
        return None
    if action.nargs == 0:
        return kind[:1], stem in VALUED and bool(given)
    if len(kind) < 2 or re.match(r"[a-z]+\Z", kind[1]):
        return kind[:2], False
    if given:
        return [*fitting(kind[0], kind[1], given[0])], True
    return [kind[0], kind[1].replace("{n}", "N")], False


def fitting(flag: str, place: str, word: str) -> Tuple[str, str]:
    """The option *flag* with the value that *word* is, in the form that the tables have at its *place*."""
    plain = place.replace("{n}", "N")
    if place == "{n}d" and word.isdigit():
        return flag, word + "d"
    if place.startswith("as=") and re.match(r"[0-9]", word):
        return flag, "as=" + word
    if flag == "--state":
        return flag, STATES.get(meant.plain(word), word)
    if flag == "--run-at" and word.startswith("now+"):
        flag, word, plain = "--delay", re.sub(r"([smhd])[a-z]*\Z", r"\1", word[4:]), "10m"
    try:
        if flag == "--run-at":
            moments.parse(word, flag, time.time())
        elif flag in ("--delay", "--timeout", "--older-than", "--max-time"):
            times.parse_duration(word, flag)
        elif place == "{n}":
            values.whole_number(word, flag)
    except BadInput:
        return flag, plain
    return flag, word


def special(name: str, stem: str, given: Sequence[str] = ()) -> str:
    """The answer of the tables to an option of the command *name*; "" for none. *given* is the word behind it."""
    if stem in ("format", "output", "o", "f") and given:
        return option_words.FORMATS.get(given[0].lower(), "") or special(name, stem)
    for start in (name, name.split()[0]):
        if stem in option_words.OPTION_OF.get(start, {}):
            return option_words.OPTION_OF[start][stem]
    flags = [one for names, _ in frame.load(name).arguments for one in names]
    state = STATES.get(re.sub(r"\A(all|only)|jobs?\Z", "", stem), "") if stem not in VAGUE else ""
    if state and "--state" in flags and not name.startswith("dlq") and (name != "prune" or state in states.FINAL):
        return "`%s --state %s`" % (name, state)
    return option_words.OPTIONS.get(stem, "")


def likeness(option: str, actions: Mapping[str, Action]) -> List[str]:
    """The options that are spelt nearly as *option*; none that deletes, ends or widens."""
    return meant.nearest(option[: errors.NAME_CHARACTERS], list(actions), words.SHUNNED_OPTIONS)


def own_line(name: str, stem: str, answer: str) -> Optional[str]:
    """The first line of an *answer* that is of the command *name* itself; None where none is."""
    for text in re.findall("`([^`]*)`", answer):
        text = text.replace("{command}", name).replace("{option}", stem).partition(" | ")[0]
        is_other = " ".join(text.split()[:2]) in COMMANDS and " " not in name and text != name
        if (text + " ").startswith(name + " ") and "> " not in text and not is_other:
            return str(text)
    return None


# ---------------------------------------------------------------- commands


def answered(answer: str, filled: str, rest: Sequence[str]) -> str:
    """*filled*, with the first line of *answer* as it was meant with all the words *rest*, where it can be typed so."""
    lines = re.findall("`([^`]*)`", answer)
    if not rest or not lines or re.search(r"[A-Z\"|]", lines[0]):
        return filled
    begin, _, end = lines[0].partition("{")
    base = begin.split()
    name = next((one for one in (" ".join(base[:2]), base[0]) if one in COMMANDS), "") if base else ""
    plainly = [word for word in rest if not word.startswith("-")]
    if name == "add" and rest[0].startswith("-"):
        return filled  # whose options these are not: they may mean anything, and are no part of a command either
    if not end and "--" in begin and not rest[0].startswith("-"):
        return filled
    if not name or re.sub(r"\w+} ?\{?", "", end) or ("text" in end and len(plainly) != 1 and name != "add"):
        return filled
    full = careful(name, [*base[len(name.split()) :], *rest])
    old = re.findall("`([^`]*)`", filled)[0]
    return filled.replace("`%s`" % old, "`%s`" % full, 1) if full else filled


def careful(name: str, said: Sequence[str]) -> str:
    """The line of a command that was not typed by its name; none that widens what is deleted, ended or put back."""
    if name in words.SHUNNED and [word for word in said if word in words.SHUNNED_OPTIONS or word == "--any"]:
        return ""
    return line(name, said)


def elsewhere(name: str, said: Sequence[str]) -> str:
    """The same words at a command that looks, and has the option that *name* has not; "" where there is none."""
    own = [one for one in actions_of(name, said) if one not in ("--home", "--debug", "--version", "--help", "-h")]
    if [word for word in said if word.partition("=")[0] in own and word != "--json"]:
        return ""
    for other in option_words.LOOKS.get(name, ()):
        full = shown(other, said)
        if full:
            return full
    return ""


def who_is_edited(said: Sequence[str], options: Namespace) -> str:
    """The refusal of `edit` with the words *said*, none of which says which jobs: --tag and --queue are changes."""
    text = "name jobs, or --tagged TAG, --in-queue Q, --group ..., or --all: `list` shows their ids"
    changed = [flag for flag, value in (("--tag", options.tag), ("--queue", options.queue)) if value]
    if not changed:
        return text
    others = {"--tag": "--tagged", "--queue": "--in-queue"}
    words = [others.get(word, word) for word in own_calls.without_home(list(said))[0]]
    changes = [word for word in words if word.startswith("--") and word not in others.values()]
    full = shown("edit", words) if changes else ""
    more = "to change those with it: `%s`" % full if full else "to change one: `%s`" % shown("edit", said)
    return "%s is what is changed, and nothing says of which jobs: %s" % (changed[0], more)
