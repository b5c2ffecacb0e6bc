"""Commands of a crontab that call this very queue: recognised where they are simple, and an `add` taken apart."""

from __future__ import annotations

import os
import re

from queuectl_lib import values
from queuectl_lib.errors import BadInput
from queuectl_lib.jobs import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Sequence, Tuple

    from queuectl_lib.values import Fields


class Place:
    """Where the lines of a crontab run: whose they are, and which program, queue and clock is ours."""

    def __init__(
        self,
        user: str,
        user_home: str,
        script: str,
        queue_home: str,
        zone: str = "local",
        is_system: bool = False,
        real: Callable[[str], str] = os.path.realpath,
    ) -> None:
        self.user = user
        self.user_home = user_home  # where cron starts what it runs
        self.script = script  # the door of this program; its folder is the home where a line names none
        self.queue_home = queue_home
        self.zone = zone
        self.is_system = is_system  # /etc/crontab and cron.d: with a user before each command
        self.real = real

    def is_script(self, word: str, directory: str) -> bool:
        return bool(word) and self.real(os.path.join(directory, word)) == self.real(self.script)

    def is_home(self, word: str, directory: str) -> bool:
        home = os.path.join(directory, word) if word else os.path.dirname(self.script)
        return self.real(home) == self.real(self.queue_home)


class OwnCall:
    """A call of this program: its command, "" where that is for another queue, the words behind it, and where it is."""

    def __init__(self, verb: str, words: List[str], directory: str) -> None:
        self.verb = verb
        self.words = words
        self.directory = directory


STARTER = r"(?:env|nice|python[\d.]*|pypy[\d.]*|-\w*|\d+)\Z"
OF_CRON = ("worker", "check", "prune")  # what keeps a queue going is no job of it


def find(text: str, place: Place, env: Dict[str, str]) -> Optional[OwnCall]:
    """The call of this program that *text* is, where it is one and nothing else."""
    directory = env.get("HOME", place.user_home)
    words = simple_words(text, directory)
    if words and words[0] == "cd" and len(words) > 3 and words[2] in JOINTS:
        directory, words = os.path.join(directory, words[1]), words[3:]
    if not words or any(word in JOINTS for word in words):
        return None
    start = next((at for at, word in enumerate(words[:6]) if place.is_script(word, directory)), None)
    if start is None or (start == 0 and "/" not in words[0]):
        return None
    if not all(re.match(STARTER, os.path.basename(word)) for word in words[:start]):
        return None
    rest, home = without_home(words[start + 1 :])
    if not rest or not place.is_home(home or env.get("QUEUECTL_HOME", ""), directory):
        return OwnCall("", rest, directory)
    return OwnCall(rest[0], rest[1:], directory)


def without_home(words: List[str]) -> Tuple[List[str], str]:
    """The words of a call but for those that any call may have, and the home that they name."""
    end = words.index("--") if "--" in words else len(words)
    rest, home, todo = [], "", words[:end]
    while todo:
        word = todo.pop(0)
        if word.startswith("--home="):
            home = word.partition("=")[2]
        elif word == "--home" and todo:
            home = todo.pop(0)
        elif word != "--debug":
            rest.append(word)
    return rest + words[end:], home


CALLED = r"""(?<![^\s'"=])([^\s'"=]+)['"]?((?:\s+--(?:home\s+\S+|home=\S+|debug)){0,4})\s+(?:%s)(?=[\s;&|)'"]|\Z)"""
UPKEEP = CALLED % "|".join(OF_CRON)


def mentions_upkeep(text: str, place: Place, env: Dict[str, str]) -> bool:
    """True where a text that is more than one call has one in it that keeps this queue going."""
    directory = env.get("HOME", place.user_home)
    for word, options in re.findall(UPKEEP, text):
        named = re.findall(r"--home[\s=]+(\S+)", options) or [env.get("QUEUECTL_HOME", "")]
        home = expanded(named[-1].strip("'\""), directory)
        if place.is_script(expanded(word, directory), directory) and place.is_home(home, directory):
            return True
    return False


# ---------------------------------------------------------------- words of a shell

JOINTS = ("&&", ";")
QUIETENED = r"(?<!\s)(?:\s*(?:(?:(?<=\s)\d)?>(?:>?\s*[\w./-]+|&\d))){1,4}\s*\Z"  # where its output goes is no matter
HOME = r"\$HOME\b|\$\{HOME\}"
PIECE = (
    r"""[^\s'"\\$`;&|<>()*?\[\]{}#~]+|'[^']*'|"(?:[^"\\$`]|\\.|%s)*"|\\.|%s|(?<!\S)~(?=/|\s|\Z)|(?<=[^\s;&])\#"""
    % (HOME, HOME)
)


def simple_words(text: str, home: str) -> Optional[List[str]]:
    """The words of *text* with `&&` and `;` as words; None where a shell would do more than to take off quotes."""
    text, words = re.sub(QUIETENED, "", text).strip(), []
    at = 0
    while at < len(text):
        joint = re.compile(r"\s*(&&|;)\s*|\s+").match(text, at)
        if joint:
            at = joint.end()
            words += [joint.group(1)] if joint.group(1) else []
            continue
        word = re.compile("(?:%s)+" % PIECE).match(text, at)
        if not word:
            return None
        quoted = word.group(0)
        words.append("".join(unquoted(piece, home) for piece in re.findall(PIECE, quoted)))
        at = word.end()
    return words


def unquoted(piece: str, home: str) -> str:
    if piece[0] == "'":
        return piece[1:-1]
    if piece[0] == '"':
        return re.sub(r'\\([\\$`"])', r"\1", expanded(piece[1:-1], home))
    if piece[0] == "\\":
        return piece[1:]
    return home if piece in ("~", "$HOME", "${HOME}") else piece


def expanded(text: str, home: str) -> str:
    """*text* with $HOME and a ~ at its beginning put in their places."""
    text = re.sub(r"(?<!\\)(?:%s)" % HOME, lambda _: home, text)
    return home + text[1:] if text.startswith("~/") else text


# ---------------------------------------------------------------- the options of `add`

SILENT = ("--quiet", "--verbose", "--json")  # of the call, not of the job
NOT_OF_A_SCHEDULE = ("id", "run_at", "delay")


def job_of(words: Sequence[str], directory: str) -> Fields:
    """The job that `add` with *words*, called in *directory*, would add. Raises BadInput."""
    options = {field.flag: field for field in fields.FIELDS if field.option}
    given: Fields = {}
    commands: List[object] = []
    rest = list(words)
    while rest:
        word, equals, value = rest.pop(0).partition("=")
        if word == "--" and not equals:
            commands.append(rest)
            break
        if not word.startswith("-"):
            commands.append(word + equals + value)
        elif word not in SILENT:
            field = options.get(word)
            if field is None or field.key in NOT_OF_A_SCHEDULE:
                raise BadInput("`add` with %s" % word)
            if field.option.get("action") == "store_true":
                given[field.key] = True
            elif not equals and not rest:
                raise BadInput("`add` with %s and nothing behind it" % word)
            else:
                text = value if equals else rest.pop(0)
                given[field.key] = given.get(field.key, []) + [text] if field.option.get("action") else text
    if len(commands) != 1:
        raise BadInput("`add` without one command")
    job: Fields = {"command": commands[0], "cwd": directory}
    for key, value in given.items():
        meaning = next(field.words for field in fields.FIELDS if field.key == key)
        job[key] = meaning(value) if meaning else value
    job["cwd"] = os.path.normpath(os.path.join(directory, values.check_text(job["cwd"], "cwd")))
    return job
