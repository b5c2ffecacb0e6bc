"""The line to type in place of options and words that a command does not have. Loaded only where they are refused."""

from __future__ import annotations

import re

from queuectl_lib import errors, meant
from queuectl_lib.commands import COMMANDS, frame, hints, words
from queuectl_lib.jobs import own_calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Action
    from typing import List, Mapping, Sequence

COMMON = ("--home", "--debug", "--version", "--help")  # of every command
START = "unrecognized arguments: "
TAKES_COMMAND = {"add": "add", "run": "run", "schedule set": "add"}  # and who takes a program behind --


def refused(message: str, name: str, words_said: Sequence[str], actions: Mapping[str, Action]) -> str:
    """What is told where argparse refuses by *message* what was said to the command *name*; its options: *actions*."""
    said = own_calls.without_home(list(words_said))[0]
    plainly = positional(said, actions)
    message = re.sub("(?s)=.*", "=...", message)  # it may be the value of a variable
    message = message.replace(START + "-- ", START)
    answer = ""
    if message.startswith(START + "-"):
        option = message.split()[2]  # and no more of them: what follows may be a secret, too
        message = START + hints.short(option)
        answer = of_option(name, option, said, actions)
    elif message.startswith(START) and name in TAKES_COMMAND:
        message = "more than one word"
        answer = "put the command line in quotes, or a program and its arguments behind --: `%s -- %s ...`"
        answer %= (TAKES_COMMAND[name], hints.short((plainly or ["echo"])[0]))
    elif message.startswith(START):
        word = message[len(START) :].partition(" ")[0]
        message = "more than one word" if name == "enqueue" else START + hints.short(word)
        answer = surplus(name, word, plainly, said)
    elif "are required" in message:
        answer = missing(name, said)
    message = hints.short(message, 200)
    if not answer:
        return message + see(name)
    return "%s %s" % (message, answer) if answer.startswith("(") else "%s: %s" % (message, answer)


def positional(said: Sequence[str], actions: Mapping[str, Action]) -> List[str]:
    """Those of the words that are neither options nor their values."""
    found, is_value = [], False
    for word in said:
        if not word.startswith("-"):
            found += [] if is_value else [word]
            is_value = False
        else:
            action = actions.get(word)
            is_value = action is not None and action.nargs != 0
    return found


def see(name: str) -> str:
    return ": see `%s %s --help`" % (frame.PROGRAM, name)


def of_option(name: str, option: str, said: Sequence[str], actions: Mapping[str, Action]) -> str:
    """What to type in place of an *option* that the command *name* does not have."""
    stem = meant.plain(option.split("=")[0][: errors.NAME_CHARACTERS])
    near = meant.nearest(option[: errors.NAME_CHARACTERS], list(actions), words.SHUNNED_OPTIONS)
    same = [one for one in near if meant.plain(one) == stem]
    if same:
        return "(did you mean %s?)%s" % (same[0], see(name))
    before = said[: said.index(option)] if option in said else ()
    first = (positional(before, actions) or [""])[0]
    if name in TAKES_COMMAND and first and " " not in first and not option.startswith("--"):
        text = "where it belongs to the command, put all of it in quotes, or behind --: `%s -- %s %s ...`"
        return text % (TAKES_COMMAND[name], hints.short(first), hints.short(option))
    answer = special(name, stem)
    if answer:
        behind = said[said.index(option) + 1 :][:1] if option in said else ()
        is_of_ids = "an id needs no option" in answer
        takes_ids = "ids" in [names[0] for names, _ in frame.load(name).arguments]
        place = {"command": name if takes_ids or not is_of_ids else "show", "option": stem}
        return hints.filled(answer, behind if "{text}" not in answer else (), **place)
    if near:
        return "(did you mean %s?)%s" % (near[0], see(name))
    if name == "config set" and hints.key_of(option):
        return config_line(said)
    if name in TAKES_COMMAND and first:
        text = "not an option of `%s`; where it belongs to the command: `%s -- %s %s ...`"
        return text % (name, TAKES_COMMAND[name], hints.short(first), hints.short(option))
    owners = [one for one in COMMANDS if meant.plain(option) in map(meant.plain, hints.options_of(one))]
    if owners:
        return "it is an option of %s" % ", ".join("`%s`" % one for one in owners[:3])
    listed = sorted(one for one in actions if one.startswith("--") and one not in COMMON)
    return "`%s` has %s%s" % (name, ", ".join(listed) or "no options of its own", see(name))


def special(name: str, stem: str) -> str:
    """The answer of the tables to an option of the command *name*; "" for none."""
    for start in (name, name.split()[0]):
        if stem in words.OPTION_OF.get(start, {}):
            return words.OPTION_OF[start][stem]
    return words.OPTIONS.get(stem, "")


def surplus(name: str, word: str, plainly: Sequence[str], said: Sequence[str]) -> str:
    """What to type where *word* is one too many of those that were *said*, *plainly* without options."""
    if name.startswith("worker") and re.match(r"[0-9]{1,9}\Z", word) and name != "worker stop":
        return hints.filled("a number goes behind --count: " + words.COUNT, [word])
    if name == "enqueue":
        is_cut = len(plainly) != len(said)
        return hints.of_text(word if is_cut else " ".join(plainly), is_cut)
    if name in words.SURPLUS:
        return hints.filled(words.SURPLUS[name], plainly if name == "config set" else [word])
    return so_it_is_typed(name)


def missing(name: str, said: Sequence[str]) -> str:
    """What to type where a word is missing."""
    if name in ("config set", "config unset"):
        return config_line(said) or "`%s KEY%s`" % (name, " VALUE" * (name == "config set"))
    return so_it_is_typed(name)


def so_it_is_typed(name: str) -> str:
    from queuectl_lib.commands import helping  # which alone knows

    return "so it is typed: `%s`" % helping.usage(name)


def config_line(said: Sequence[str]) -> str:
    """`config set` as it was meant by `--max-retries 3`, or by max_retries=3."""
    for place, word in enumerate(said):
        if hints.key_of(word):
            value = word.partition("=")[2] or next((one for one in said[place + 1 :] if not one.startswith("-")), "")
            return hints.filled("`config set {key} {value}`", [hints.key_of(word), value])
    return ""
