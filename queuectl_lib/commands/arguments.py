"""The line to type in place of options and words that a command does not have. Loaded only where they are refused."""

from __future__ import annotations

import os
import re

from queuectl_lib import errors, meant
from queuectl_lib.commands import COMMANDS, choosing, frame, hints, option_words, retyped, words
from queuectl_lib.jobs import own_calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Action
    from typing import List, Mapping, Optional, Sequence

COMMON = ("--home", "--debug", "--version", "--help")  # of every command
START = "unrecognized arguments: "
TAKES_COMMAND = {"add": "add", "run": "run", "schedule set": "add"}  # and who takes a program behind --
SELECTS = ("--all", *choosing.CONDITIONS.values())
MOST_LISTED = 200  # characters of options that a command has


def refused(message: str, name: str, words_said: Sequence[str], behind: Optional[Sequence[str]] = None) -> str:
    """What is told where argparse refuses by *message* what was said to the command *name*, and *behind* two dashes."""
    said, home = own_calls.without_home(list(words_said))
    plainly = positional(said, retyped.actions_of(name, said))
    message = re.sub("(?s)=.*", "=...", message)  # it may be the value of a variable
    message = message.replace(START + "-- ", START)
    answer = ""
    if message.startswith(START + "-"):
        option = message.split()[2]  # and no more of them: what follows may be a secret, too
        option = re.sub(r"\A(-[A-Za-z])[0-9]+\Z", r"\1", option)  # -j4
        message = START + hints.short(option)
        answer = of_option(name, option, said, behind)
    elif message.startswith(START) and name in TAKES_COMMAND:
        message = "more than one word"
        answer = "put the command line in quotes, or a program and its arguments behind --: `%s -- %s ...`"
        answer %= (TAKES_COMMAND[name], hints.short((plainly or ["echo"])[0]))
    elif message.startswith(START):
        word = message[len(START) :].partition(" ")[0]
        message = "more than one word" if name == "enqueue" else START + hints.short(word)
        answer = surplus(name, word, plainly, said, home)
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


def of_option(name: str, option: str, said: Sequence[str], behind: Optional[Sequence[str]] = None) -> str:
    """What to type in place of an *option* that the command *name* does not have."""
    actions = retyped.actions_of(name, said)
    stem = meant.plain(option.split("=")[0][: errors.NAME_CHARACTERS])
    near = retyped.likeness(option, actions)
    same = [one for one in near if meant.plain(one) == stem]
    full = retyped.line(name, said, behind)
    if same:
        return did_you_mean(name, same[0], full)
    before = said[: said.index(option)] if option in said else ()
    first = (positional(before, actions) or [""])[0]
    if name in TAKES_COMMAND and first and " " not in first and not option.startswith("--"):
        text = "where it belongs to the command, put all of it in quotes, or behind --: `%s -- %s %s ...`"
        return text % (TAKES_COMMAND[name], hints.short(first), hints.short(option))
    given = [option.partition("=")[2]] if "=" in option else next_of(said, option)
    if name in option_words.LOOKS and "--" + stem in SELECTS:
        moved = retyped.elsewhere(name, said)
        if moved:
            return "`%s`" % moved
    if name == "enqueue" and stem in option_words.OF_ENQUEUE and given and os.path.isfile(given[0]):
        from queuectl_lib.commands import no_json  # which few calls need

        return no_json.of_file(given[0])
    answer = retyped.special(name, stem, given)
    if answer:
        return with_line(name, stem, answer, full, given)
    if near:
        return did_you_mean(name, near[0], full)
    if name == "config set" and hints.key_of(option):
        return config_line(said)
    if name in TAKES_COMMAND and first:
        text = "not an option of `%s`; where it belongs to the command: `%s -- %s %s ...`"
        return text % (name, TAKES_COMMAND[name], hints.short(first), hints.short(option))
    return of_others(name, stem, actions)


def next_of(said: Sequence[str], option: str) -> Sequence[str]:
    """The word behind *option*, where there is one."""
    return said[said.index(option) + 1 :][:1] if option in said else ()


def did_you_mean(name: str, near: str, full: str) -> str:
    return "(did you mean %s?)%s" % (near, ": `%s`" % full if full else see(name))


def with_line(name: str, stem: str, answer: str, full: str, given: Sequence[str]) -> str:
    """The *answer* of the tables, with the line *full* in the place of its own of that command, where there is one."""
    own = retyped.own_line(name, stem, answer)
    if full and own is None:
        return "`%s`" % full
    if full and own is not None:
        answer = answer.replace("{command}", name).replace("{option}", stem)
        return hints.filled(answer.replace("`" + own, "`" + full, 1), given)
    takes_ids = "ids" in [names[0] for names, _ in frame.load(name).arguments]
    place = {"command": name if takes_ids or "an id needs no option" not in answer else "show", "option": stem}
    return hints.filled(answer, given if "{text}" not in answer else (), **place)


def of_others(name: str, stem: str, actions: Mapping[str, Action]) -> str:
    """Which commands have such an option, with a line of the first; else which options *name* has."""
    owners = [one for one in COMMANDS if stem in map(meant.plain, hints.options_of(one))]
    if owners:
        from queuectl_lib.commands import helping  # which alone knows

        arguments = frame.load(owners[0]).arguments
        names, details = next(one for one in arguments if stem in [meant.plain(word) for word in one[0]])
        word = next(one for one in names if meant.plain(one) == stem)
        takes = "" if details.get("action") == "store_true" else " " + helping.metavar(names, details)
        line = helping.usage(owners[0]).replace("[OPTION ...]", word + takes)
        return "it is an option of %s: `%s`" % (", ".join("`%s`" % one for one in owners[:3]), line)
    listed = ", ".join(sorted(one for one in actions if one.startswith("--") and one not in COMMON))
    has = listed if len(listed) < MOST_LISTED else "many others"
    return "`%s` has %s%s" % (name, has or "no options of its own", see(name))


def surplus(name: str, word: str, plainly: Sequence[str], said: Sequence[str], home: str) -> str:
    """What to type where *word* is one too many of those that were *said*, *plainly* without options."""
    if name.startswith("worker") and re.match(r"[0-9]{1,9}\Z", word) and name != "worker stop":
        exchanged = [part for one in said for part in (["--count", word] if one == word else [one])]
        own = "`%s`" % retyped.line(name, exchanged) if name != "worker list" else "``"
        return "a number goes behind --count: " + (own if own != "``" else hints.filled(option_words.COUNT, [word]))
    if name == "enqueue":
        from queuectl_lib.commands import no_json  # which few calls need

        is_cut = len(plainly) != len(said)
        return no_json.of_text(word if is_cut else " ".join(plainly), is_cut)
    if name == "status":
        from queuectl_lib.commands import misnamed  # the same

        found = misnamed.of_status(word, home)
        if found:
            return found
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
