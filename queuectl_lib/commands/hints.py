"""The line to type in place of one that is refused. Loaded only then.

What other programs call it comes first (words), then what is spelt nearly so (meant), then all that there is.
"""

from __future__ import annotations

import json
import os
import re

from queuectl_lib import errors, meant, values
from queuectl_lib.commands import ALIASES, COMMANDS, frame, words
from queuectl_lib.errors import BadInput, NoSuchJob, QueueError
from queuectl_lib.host import system
from queuectl_lib.jobs import ids, own_calls, states
from queuectl_lib.settings import BY_KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence

    from queuectl_lib.commands.frame import Call
    from queuectl_lib.jobs.fields import Field

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
    found = frame.load(name).arguments
    return [one for names, details in found for one in names if details.get("help") != frame.HIDDEN]


# ---------------------------------------------------------------- commands


def unknown_command(rest: Sequence[str], before: Sequence[str]) -> BadInput:
    """The refusal of the words *rest*, which begin with no command; *before* are the options before them."""
    for option in own_calls.without_home(list(before))[0]:
        if option not in ("--json", "--quiet"):
            option = option.split("=")[0]  # behind it a secret may stand
            return BadInput("unrecognized arguments: %s: %s" % (short(option), before_command(option)), "bad_usage")
    first = rest[0]
    family = first in FAMILIES and len(rest) > 1 and not rest[1].startswith("-")
    name = " ".join(rest[:2]) if family else first
    hint = of_command(list(rest)) or known(first)
    return BadInput("unknown command %s: %s" % (errors.shown(name), hint), "unknown_command")


def nothing_given(argv: Sequence[str]) -> BadInput:
    """The refusal of a call without a command, which may have options."""
    text = "no command is given: `%s --help` lists them" % frame.PROGRAM
    if [word for word in argv if word in ("-v", "-V", "-version")]:
        text = "no command is given: `--version` prints the version"
    return BadInput(text, "bad_usage", "--help")


def before_command(option: str) -> str:
    """What to type in place of an *option* that stands before the command."""
    if meant.plain(option[:CHARACTERS]) in ("v", "version"):
        return "`--version` prints the version"
    answer = words.OPTIONS.get(meant.plain(option[:CHARACTERS]), "")
    if answer.startswith("`--home"):
        return answer
    return "the command comes first, its options behind it: `list --limit 20`"


def known(first: str) -> str:
    """All commands of a family, or all."""
    if first in FAMILIES:
        return "known: %s" % ", ".join(name for name in COMMANDS if name.startswith(first + " "))
    return "known: %s: see `%s --help`" % (", ".join(FIRST_WORDS), frame.PROGRAM)


def of_command(rest: List[str]) -> str:
    """What was meant by these words, with the line to type; "" where nothing tells."""
    first, second = rest[0][: errors.NAME_CHARACTERS], (rest[1:2] or [""])[0][: errors.NAME_CHARACTERS]
    if re.search(r"[\s{\[]", first.strip()) and len(rest) == 1:
        return of_text(rest[0])
    if meant.plain(first) in ("queuectl", "queuectlpy"):
        return "the name of the program stands once: `%s`" % (rest[1] if second in FIRST_WORDS else "list")
    if first in FAMILIES:
        second = re.sub(r"[-_:]?jobs?\Z", "", second)  # dlq retry-job
    one, other = meant.plain(first), meant.plain(second)
    pair = {} if second.startswith("-") or not second else {first + second: 2}
    alone = {} if first in FAMILIES else {first: 1}
    for phrase, used in [*pair.items(), *alone.items()]:  # the very words, joined in another way or in capitals
        for name in [*COMMANDS, *ALIASES]:
            if meant.plain(name) == meant.plain(phrase):
                return "did you mean %s?" % line(name, rest[used:])
    pieces = re.split("[-_:]", first.lower())
    if len(pieces) == 2 and set(pieces) & set(words.CONTAINERS) and pieces[0] not in FAMILIES:  # get-job, job-status
        return of_member([piece for piece in pieces if piece not in words.CONTAINERS] + list(rest[1:]))
    if pair and "%s %s" % (one, other) in words.COMMANDS:
        return filled(words.COMMANDS["%s %s" % (one, other)], rest[2:])
    if one == "get" and key_of(second):
        return "`config get %s`" % key_of(second)
    if first == "schedule" and re.match(r"@|every\b|[-*/,\d]+ .* ", second):
        return "`schedule set NAME %s \"COMMAND\"`" % system.quoted(short(second))
    if first == "config" and second.replace("-", "_") in BY_KEY:
        return filled("`config %s`" % ("set {key} {value}" if rest[2:] else "get {key}"), rest[1:])
    if first == "worker" and re.match(r"-?[0-9]{1,9}\Z", second):
        return filled("a number goes behind --count: " + words.COUNT, [second.strip("-")])
    if pair and one in words.CONTAINERS:
        return of_member(rest[1:]) or by_likeness(first, second)
    if first not in FAMILIES and (one in words.COMMANDS or " ".join([one, other]) in words.COMMANDS):
        return filled(words.COMMANDS[one], rest[1:], word=one)
    return by_likeness(first, second)


def line(name: str, said: Sequence[str]) -> str:
    """The command *name*, with the one id that stands behind it."""
    return "%s %s" % (name, said[0]) if len(said) == 1 and re.match(ids.ID, said[0]) and len(said[0]) < 40 else name


def of_member(rest: List[str]) -> str:
    """What `job REST` means: a command of ours, or a word for one."""
    word = meant.plain(rest[0][: errors.NAME_CHARACTERS])
    if word in ("add", "status") and rest[1:]:
        return filled("`show {id}`" if word == "status" else "`add {text}`", rest[1:])
    if word in FIRST_WORDS:
        return "`%s`" % line(word, rest[1:])
    return filled(words.COMMANDS[word], rest[1:], word=word) if word in words.COMMANDS else ""


def by_likeness(first: str, second: str) -> str:
    """The commands that are spelt nearly so, word by word; never one that deletes, ends or puts back."""
    if first not in FAMILIES:
        members = [name for name in COMMANDS if name.split()[1:] == [meant.plain(first)]]
        if len(members) == 1:
            return "did you mean %s?" % members[0]
        singles = [name for name in FIRST_WORDS if name not in words.SHUNNED]
        near = meant.nearest(first, singles)
        if not near or not second or near[0] not in FAMILIES:
            return "did you mean %s?" % " or ".join(near) if near else ""
        first = near[0]
    members = [name.split()[1] for name in COMMANDS if name.startswith(first + " ")]
    shunned = [name.split()[1] for name in words.SHUNNED if name.startswith(first + " ")]
    near = [] if second in shunned else meant.nearest(second, members, shunned)
    return "did you mean %s?" % " or ".join("%s %s" % (first, one) for one in near) if near else known(first)


def needs_one_of(family: str) -> BadInput:
    """The refusal of a *family* without a command of it."""
    members = [name for name in COMMANDS if name.startswith(family + " ")]
    listed = ", ".join(name.split()[1] for name in members)
    return BadInput("%s needs one of: %s: `%s` to begin with" % (family, listed, members[0]), "bad_usage", members[0])


# ---------------------------------------------------------------- jobs in words


def of_text(text: str, is_cut: bool = False) -> str:
    """What to type in place of a *text* that is no JSON, or no more, where JSON was expected."""
    bare = text.strip().strip("'\"")
    if bare[:1] in ("{", "["):
        if ":" in bare and not set(bare) & set("'\""):
            return "the shell took the quotes of the JSON: `enqueue --file FILE`, or a pipe into `enqueue -`"
        return "JSON is one word, in quotes: `enqueue '{\"command\": \"true\"}'`"
    if not is_cut and os.path.isfile(text.lstrip("@")):
        return "that is a file: `enqueue --file %s`" % system.typed([text.lstrip("@")])
    line = filled("{text}", [] if is_cut else [text])
    return "a command line goes with `add %s`, or `enqueue --command %s`" % (line, line)


def no_json(text: str) -> Optional[BadInput]:
    """The refusal of what `enqueue` is given as JSON and cannot be; None where it may be."""
    values.check_text(text, "JSON")
    answer, start = of_text(text), text.strip()[:1]
    if start in ("", "{", "[") and not answer.startswith("the shell"):
        return None
    try:
        json.loads(text)
        what = 'a job is an object such as {"command": "true"}'
    except (ValueError, RecursionError):
        what = "not JSON"
    return BadInput("%s: %s: nothing was added" % (what, answer))


def beside_json(field: Field) -> BadInput:
    """The refusal of an option of `add`, that for *field*, beside JSON, which may be many jobs."""
    text = '%s is a key of the JSON: {"command": "true", "%s": ...}; or `enqueue --command "COMMAND" %s ...`'
    return BadInput(text % (field.flag, field.key, field.flag))


# ---------------------------------------------------------------- ids

DONE = {"cancel": "cancelled", "requeue": "requeued", "hold": "held", "release": "released", "edit": "changed"}
DONE.update({"dlq retry": "requeued", "dlq purge": "deleted", "prune": "deleted"})


def no_such_job(error: NoSuchJob, name: str, call: Call) -> QueueError:
    """The refusal of an id that no job has: what was not done, and what it may have meant."""
    word = error.identifier
    text = "no job has the id %s" % errors.shown(word)
    if text not in str(error):
        return error
    state = word.lower() if word.lower() in states.STATES else meant.other_word("state", word[: errors.NAME_CHARACTERS])
    if name in DONE:
        text = "nothing was %s: %s" % (DONE[name], text)
    place = call.missing_database()
    if place:
        return NoSuchJob("%s: no queue in %s yet" % (text, errors.printable(place)), word)
    if word.lower() == "all" and "--all" in options_of(name):
        return NoSuchJob("%s: all of them: `%s --all`" % (text, name), word)
    if state:
        verb = name if "--state" in options_of(name) else "list"
        return NoSuchJob("%s: it is a state: `%s --state %s`" % (text, verb, state), word)
    return NoSuchJob("%s: `list` shows the newest" % text, word)
