"""The line to type in place of one that is refused. Loaded only then.

What other programs call it comes first (words), then what is spelt nearly so (meant), then all that there is.
"""

from __future__ import annotations

import os
import re

from queuectl_lib import errors, meant
from queuectl_lib.commands import ALIASES, COMMANDS, frame, option_words, retyped, words
from queuectl_lib.errors import BadInput
from queuectl_lib.host import system
from queuectl_lib.jobs import ids, own_calls
from queuectl_lib.settings import BY_KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Sequence

CHARACTERS = 60  # of the user's own words in a line to type; longer ones are in his sight anyhow
FIRST_WORDS = list(dict.fromkeys(name.split()[0] for name in COMMANDS))
FAMILIES = [word for word in FIRST_WORDS if [name for name in COMMANDS if name.startswith(word + " ")]]


def filled(answer: str, said: Sequence[str], **others: str) -> str:
    """*answer* with the user's own words, *said*, where they fit its places."""
    plainly = [word for word in said if not word.startswith("-")]
    text = " ".join(said)
    fits = bool(plainly) and len(plainly) == len(said) and len(text) <= CHARACTERS and text.isprintable()
    first, second = (plainly + ["", ""])[:2]
    places = {
        "id": first if re.match(ids.ID, first) and len(first) <= CHARACTERS else "ID",
        "n": next((word for word in plainly if re.match(r"[0-9]{1,9}\Z", word)), "N"),
        "key": first if first.replace("-", "_") in BY_KEY else "KEY",
        "name": second if re.match(r"\w[\w.-]{0,40}\Z", second) else "NAME",
        "script": plainly[-1] if plainly and re.match(r"[\w./-]{1,60}\Z", plainly[-1]) else "SCRIPT",
        "age": first if re.match(r"[0-9][\w.]{0,15}\Z", first) else "7d",
        "value": second if re.match(r"[\w.%-]{1,40}\Z", second) else "VALUE",
        "text": system.typed([text]) if fits else '"COMMAND"',
    }
    places.update(others)
    for name, value in places.items():
        answer = answer.replace("{%s}" % name, value)
    return answer


def short(word: str, most: int = CHARACTERS) -> str:
    return word if len(word) <= most else word[: most - 3] + "..."


def key_of(word: str) -> str:
    """The setting that an option, or KEY=VALUE, means."""
    key = word.partition("=")[0].lstrip("-").replace("-", "_")
    return key if key in BY_KEY else ""


def options_of(name: str) -> List[str]:
    """Of the command *name*, those of which its help tells."""
    shown = [names for names, details in frame.load(name).arguments if details.get("help") != frame.HIDDEN]
    return [one for names in shown for one in names if one.startswith("-")]


# ---------------------------------------------------------------- commands


def unknown_command(rest: Sequence[str], before: Sequence[str]) -> BadInput:
    """The refusal of the words *rest*, which begin with no command; *before* are the options before them."""
    for option in own_calls.without_home(list(before))[0]:
        if option not in ("--json", "--quiet"):
            option = option.split("=")[0]  # behind it a secret may stand
            text = "unrecognized arguments: %s: %s" % (short(option), before_command(option, before, rest))
            return BadInput(text, "bad_usage")
    first = rest[0]
    family = first in FAMILIES and len(rest) > 1 and not rest[1].startswith("-")
    name = " ".join(rest[:2]) if family else first
    hint = of_command(list(rest)) or of_program(rest) or known(first)
    return BadInput("unknown command %s: %s" % (errors.shown(name), hint), "unknown_command")


def of_program(rest: Sequence[str]) -> str:
    """What to type where *rest* begins with the name of a program of this host; "" where it does not."""
    import shutil  # needed only here

    if not shutil.which(rest[0]) and not os.path.isfile(rest[0]):
        return ""
    plain = filled("{text}", rest)
    line = "add " + plain if plain != '"COMMAND"' else retyped.shown("add", [], rest) or "add " + plain
    return "a program is enqueued: `%s`" % line


def nothing_given(argv: Sequence[str]) -> BadInput:
    """The refusal of a call without a command, which may have options."""
    text = "no command is given: `%s --help` lists them" % frame.PROGRAM
    if [word for word in argv if word in ("-v", "-V", "-version")]:
        text = "no command is given: `--version` prints the version"
    for word in argv:
        near = meant.nearest(word[: errors.NAME_CHARACTERS], ("--version", "--help", "--home", "--debug"))
        if near and word.startswith("--") and word != near[0]:
            text = "unrecognized arguments: %s: did you mean `%s`?" % (short(word.partition("=")[0]), near[0])
    return BadInput(text, "bad_usage", "--help")


def before_command(option: str, before: Sequence[str], rest: Sequence[str]) -> str:
    """What to type in place of an *option* that stands, of those *before*, before the command, which is in *rest*."""
    if meant.plain(option[:CHARACTERS]) in ("v", "version"):
        return "`--version` prints the version"
    answer = option_words.OPTIONS.get(meant.plain(option[:CHARACTERS]), "")
    if answer.startswith("`--home"):
        return answer
    text = "the command comes first, its options behind it: "
    for at, word in enumerate(rest):
        if word in FIRST_WORDS:
            size = 2 if " ".join(rest[at : at + 2]) in COMMANDS else 1
            moved = [*rest[at + size :], *before, *rest[:at]]
            name = " ".join(rest[at : at + size])
            return text + "`%s`" % ((name in COMMANDS and retyped.line(name, moved)) or "%s [OPTION ...]" % name)
    line = [word for word in rest if " " in word.strip()][:1]
    return text + "`add %s`" % filled("{text}", line) if line else text + "`list --limit 20`"


def known(first: str) -> str:
    """All commands of a family, or all."""
    if first in FAMILIES:
        return "known: %s" % ", ".join(name for name in COMMANDS if name.startswith(first + " "))
    return "known: add, list, show, logs, wait, status, worker start and more: `%s --help` lists them" % frame.PROGRAM


def of_command(rest: List[str]) -> str:
    """What was meant by these words, with the line to type; "" where nothing tells."""
    first, second = rest[0][: errors.NAME_CHARACTERS], (rest[1:2] or [""])[0][: errors.NAME_CHARACTERS]
    if re.search(r"[\s{\[]", first.strip()) and len(rest) == 1:
        from queuectl_lib.commands import no_json  # which few calls need

        return no_json.of_text(rest[0])
    if meant.plain(first) in ("queuectl", "queuectlpy"):
        return "the name of the program stands once: `%s`" % (rest[1] if second in FIRST_WORDS else "list")
    if first in FAMILIES:
        second = re.sub(r"[-_:]?jobs?\Z", "", second)  # dlq retry-job
    one, other = meant.plain(first), meant.plain(second)
    if one in words.COMMANDS and first not in FAMILIES and other in ("job", "task") and rest[2:]:
        return answer_to(one, rest[2:])  # delete job ID
    pair = {} if second.startswith("-") or not second else {first + second: 2}
    alone = {} if first in FAMILIES else {first: 1}
    for phrase, used in [*pair.items(), *alone.items()]:  # the very words, joined in another way or in capitals
        for name in [*COMMANDS, *ALIASES]:
            if meant.plain(name) == meant.plain(phrase):
                return "did you mean %s?" % line(name, rest[used:])
    if one in ("load", "import", "batch", "bulk") and os.path.isfile(rest[1] if rest[1:] else ""):
        from queuectl_lib.commands import no_json  # the same

        return no_json.of_file(rest[1], rest[2:])
    pieces = re.split("[-_:]", first.lower())
    if len(pieces) == 2 and set(pieces) & set(words.CONTAINERS) and pieces[0] not in FAMILIES:  # get-job, job-status
        return of_member([piece for piece in pieces if piece not in words.CONTAINERS] + list(rest[1:]))
    if pair and "%s %s" % (one, other) in words.COMMANDS:
        return answer_to("%s %s" % (one, other), rest[2:])
    if one == "get" and key_of(second):
        return "`config get %s`" % key_of(second)
    if first == "schedule" and re.match(r"@|every\b|[-*/,\d]+ .* ", second):
        return "`schedule set NAME %s \"COMMAND\"`" % system.quoted(short(second))
    if first == "config" and second.replace("-", "_") in BY_KEY:
        return filled("`config %s`" % ("set {key} {value}" if rest[2:] else "get {key}"), rest[1:])
    if first == "worker" and re.match(r"-?[0-9]{1,9}\Z", second):
        full = retyped.line("worker start", ["--count", second.strip("-"), *rest[2:]])
        return "a number goes behind --count: `%s`" % (full or "worker start --count %s" % second.strip("-"))
    if pair and one in words.CONTAINERS:
        return of_member(rest[1:]) or by_likeness(first, second, rest[1:])
    if first not in FAMILIES and (one in words.COMMANDS or " ".join([one, other]) in words.COMMANDS):
        return answer_to(one, rest[1:])
    return by_likeness(first, second, rest[1:])


def answer_to(word: str, rest: Sequence[str]) -> str:
    """The answer of the table to *word*, with the words *rest* that stand behind it."""
    answer = words.COMMANDS[word].replace("{word}", word)
    return retyped.answered(answer, filled(answer, rest), rest)


def line(name: str, said: Sequence[str]) -> str:
    """The command *name*, with what stands behind it, where that can be typed so."""
    said = [word for word in said if word != "--json"]
    if len(said) == 1 and re.match(ids.ID, said[0]) and len(said[0]) < 40:
        return "%s %s" % (name, said[0])
    return (retyped.careful(ALIASES.get(name, name), said) if said else "") or name


def of_member(rest: List[str]) -> str:
    """What `job REST` means: a command of ours, or a word for one."""
    word = meant.plain(rest[0][: errors.NAME_CHARACTERS])
    if word in ("add", "status") and rest[1:]:
        return filled("`show {id}`" if word == "status" else "`add {text}`", rest[1:])
    if word in FIRST_WORDS:
        return "`%s`" % line(word, rest[1:])
    return answer_to(word, rest[1:]) if word in words.COMMANDS else ""


def by_likeness(first: str, second: str, rest: Sequence[str] = ()) -> str:
    """The commands that are spelt nearly so, word by word; never one that deletes, ends or puts back.

    *rest* stands behind the first word, *second* before all.
    """
    if first not in FAMILIES:
        members = [name for name in COMMANDS if name.split()[1:] == [meant.plain(first)]]
        if len(members) == 1:
            return did_you_mean(members, rest)
        singles = [name for name in FIRST_WORDS if name not in words.SHUNNED]
        near = meant.nearest(first, singles)
        if not near or not second or near[0] not in FAMILIES:
            return did_you_mean(near, rest) if near else ""
        first = near[0]
    members = [name.split()[1] for name in COMMANDS if name.startswith(first + " ")]
    shunned = [name.split()[1] for name in words.SHUNNED if name.startswith(first + " ")]
    near = [] if second in shunned else meant.nearest(second, members, shunned)
    if near:
        return did_you_mean(["%s %s" % (first, one) for one in near], rest[1:])
    named = "show" in members and re.match(r"[\w.-]{1,40}\Z", second) and second not in shunned
    return known(first) + ("; one of that name: `%s show %s`" % (first, second) if named else "")


def did_you_mean(near: Sequence[str], rest: Sequence[str]) -> str:
    if len(near) == 1 and near[0] in COMMANDS:
        return "did you mean %s?" % line(near[0], rest)
    return "did you mean %s?" % " or ".join(near)


def needs_one_of(family: str) -> BadInput:
    """The refusal of a *family* without a command of it."""
    members = [name for name in COMMANDS if name.startswith(family + " ")]
    listed = ", ".join(name.split()[1] for name in members)
    first = next((name for name in members if name.endswith((" list", " get"))), members[0])
    return BadInput("%s needs one of: %s: `%s` to begin with" % (family, listed, first), "bad_usage", first)
