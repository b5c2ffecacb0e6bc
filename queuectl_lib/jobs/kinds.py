"""What kind of job it is: its name, or else its command without what differs from job to job. Nothing is run for it.

    python3 train.py --lr 0.1 a.csv     python3 train.py --lr <n> <path>
    sudo -u www nice -n 5 /opt/x 17     x <n>

The program without its folder, and of an interpreter the script, too. Then the words: a number, a path, an address, a
text is a mark, and so is what stands behind an option; like words that follow each other are one. Paid at each end of
an attempt, so it looks at LOOKED_AT characters and takes some microseconds; the last few texts are known.
"""

from __future__ import annotations

import functools
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Sequence, Tuple

MOST = 80  # characters of a kind
LOOKED_AT = 400  # characters of a command, and of each of its words
WORDS = 40  # of a command that is a list
NOTHING = "<text>"  # where there is no word at all

# What runs another program: which of its options take a word that follows, and how many words come before the program.
WRAPPERS: Dict[str, Tuple[str, int]] = {
    "env": ("-u -C --chdir --unset", 0),
    "sudo": ("-u -g -h -p -C -r -t -T -U -D -R --user --group", 0),
    "doas": ("-u -C", 0),
    "nohup": ("", 0),
    "setsid": ("", 0),
    "exec": ("-a", 0),
    "command": ("", 0),
    "time": ("-f -o", 0),
    "nice": ("-n", 0),
    "ionice": ("-c -n", 0),
    "chrt": ("", 1),
    "taskset": ("", 1),
    "stdbuf": ("-i -o -e", 0),
    "timeout": ("-k -s", 1),
    "flock": ("-w -E", 1),
    "caffeinate": ("-t -w", 0),
}
# What reads a script: which of its options take a word that follows. (Of their names the version is left out.)
INTERPRETERS = {
    "python": "-W -X",
    "pypy": "-W -X",
    "perl": "-I",
    "ruby": "-I -r",
    "node": "-r --require",
    "php": "-d",
    "Rscript": "",
    "java": "-cp -classpath --class-path -p",
    "lua": "-l",
    "julia": "",
    "sh": "-o",
    "bash": "-o -O",
    "dash": "-o",
    "ksh": "-o",
    "zsh": "-o",
    "powershell": "-ExecutionPolicy",
    "pwsh": "-ExecutionPolicy",
}
SHELLS = ("sh", "bash", "dash", "ksh", "zsh")
IS_TEXT = ("-c", "-e", "-r", "-E", "--eval", "-Command")  # a program follows
NAMES_SCRIPT = ("-m", "-jar", "-File", "-f")  # its name follows, whatever it looks like
ODD = frozenset("'\"\\;|&\n()<>`")  # without these a text is its words, with blanks between
DIGITS = frozenset("0123456789")
OF_NUMBERS = frozenset("0123456789.,:+-eETZ%_")  # also of times and of addresses of hosts
OF_HEXADECIMAL = frozenset("0123456789abcdefABCDEF-")
# A command that goes on with another; a redirection; a word, in which quotes may stand.
BETWEEN = r"\|\|?|&&|;+|\n|[()`]|&(?![>\d])"
REDIRECTION = r"[0-9]?(?:<<<?|&>>?|[<>]&?|>>)-?"
WORD = r"(?:[^\s;|&()<>`'\"\\]|\\.|'[^']*'?|\"[^\"]*\"?|\\$)+"
TOKEN = "(%s|%s)|(%s)" % (BETWEEN, REDIRECTION, WORD)


def of(name: object, command: object) -> str:
    """The kind of a job with this *name* (None where it has none) and *command*, a text or a list of words."""
    if isinstance(name, str) and name:
        return sound(name[:MOST])
    if isinstance(command, str):
        return of_text(command[:LOOKED_AT])
    if isinstance(command, list):
        return of_words(tuple([str(word)[:LOOKED_AT] for word in command[:WORDS]]))
    return NOTHING


@functools.lru_cache(maxsize=16)  # jobs that are alike often end together
def of_text(text: str) -> str:
    """The kind of a line for the shell."""
    if ODD.isdisjoint(text):
        return joined(of_command(text.split()))
    commands = commands_of(text)
    if len(commands) == 1 and isinstance(commands[0], list):
        return joined(of_command(commands[0]))
    found: List[str] = []
    for one in commands:
        found += of_command(one) if isinstance(one, list) else [one]
    return joined(found)


@functools.lru_cache(maxsize=16)
def of_words(words: Tuple[str, ...]) -> str:
    """The kind of a program and its arguments."""
    return joined(of_command(words))


def joined(words: Sequence[str]) -> str:
    """*words* as one text, of like ones in a row the first."""
    last, kept = "", []
    for word in words:
        if word != last:
            kept.append(word)
        last = word
    return sound(" ".join(kept)[:MOST]) or NOTHING


def sound(text: str) -> str:
    """*text* as a database takes it: half a character that somebody has written into JSON is shown as an escape."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def commands_of(text: str) -> List[Any]:
    """The simple commands of a line for the shell, as lists of words, and what stands between two of them.

    Where output goes and where input comes from is left out.
    """
    found: List[Any] = [[]]
    is_target = False
    for operator, word in re.findall(TOKEN, text):
        if word:
            if not is_target:
                found[-1].append(unquoted(word))
            is_target = False
        elif "<" in operator or ">" in operator:
            is_target = not operator.endswith("-")
            if found[-1] and found[-1][-1] in ("0", "1", "2") and not is_target:
                found[-1].pop()
        else:
            is_target = False
            found += [operator if operator != "\n" else ";", []]
    while len(found) > 1 and not found[-1]:
        del found[-2:]
    return [one for one in found if one] or [[]]


def unquoted(word: str) -> str:
    """A word of a line for the shell without its quotes, as far as it matters here."""
    if "'" in word or '"' in word:
        word = word.replace("'", "").replace('"', "")
    return word.replace("\\", "") if "\\" in word and ":\\" not in word else word


# ---------------------------------------------------------------- one command


def of_command(words: Sequence[str]) -> List[str]:
    """The words of the kind of one program with its arguments."""
    at, end = program_at(words), len(words)
    if at >= end:
        return [shape(word) for word in words]
    program = base(words[at])
    bare = (program[:-4] if program[-4:].lower() == ".exe" else program).rstrip("0123456789.")
    if bare not in INTERPRETERS:
        return [name_of(program), *shapes(words, at + 1)]
    found, at, takes = [program], at + 1, INTERPRETERS[bare].split()
    while at < end and words[at].startswith("-") and len(words[at]) > 1:
        word, follows = words[at], words[at + 1] if at + 1 < end else ""
        is_text = word in IS_TEXT or (bare in SHELLS and word.endswith("c") and word[1] != "-")
        if is_text and bare in SHELLS and follows:
            return of_text(follows).split(" ")
        found.append(shape(word))
        at += 1
        if is_text or word in NAMES_SCRIPT:
            found += [NOTHING if is_text else base(follows)] if follows else []
            return found + shapes(words, at + 1)
        if word in takes:
            found += ["<value>"] if follows else []
            at += 1
    return found + ([name_of(base(words[at]))] + shapes(words, at + 1) if at < end else [])


def program_at(words: Sequence[str]) -> int:
    """Where the program stands: behind variables that are set, and behind programs that only run it."""
    at, end = 0, len(words)
    while at < end:
        word = words[at]
        if "=" in word and word.partition("=")[0].isidentifier():
            at += 1
            continue
        wrapper = WRAPPERS.get(base(word))
        if wrapper is None:
            return at
        before, (options, left) = at, wrapper
        at += 1
        while at < end and words[at].startswith("-"):
            at += 2 if words[at] in options.split() else 1
        at += left
        if at >= end:  # it runs nothing
            return before
    return end


def base(word: str) -> str:
    """The last part of a path."""
    if "/" not in word and "\\" not in word:
        return word
    return word.rstrip("/").replace("\\", "/").rpartition("/")[2] or word


def name_of(word: str) -> str:
    """The name of a program or script: one that was made for one job has a number in it that means nothing."""
    if " " in word or not word:
        return NOTHING
    if "." in word and not DIGITS.isdisjoint(word):
        return re.sub("[0-9]{3,}", "<n>", word)
    return word


def shapes(words: Sequence[str], at: int) -> List[str]:
    """The words from *at* on; what follows a long option is its value, unless it looks like another thing."""
    found, is_value = [], False
    for word in words[at:]:
        shown = shape(word)
        if is_value and shown == word and word[:1] != "-":
            shown = "<value>"
        is_value = shown[:2] == "--" and "=" not in shown and len(shown) > 2
        found.append(shown)
    return found


@functools.lru_cache(maxsize=128)  # options and their values are the same in many commands
def shape(word: str) -> str:
    """A word, or the mark of what it is."""
    if word.isalpha():
        return word
    if word[:1] == "-" or "=" in word:
        name, equals, value = word.partition("=")
        if equals and (name[:1] == "-" or name.isidentifier()):
            return name + "=<value>" if value else word
        if word[:1] == "-" and word[1:2] not in DIGITS:
            return numberless(word)
    if " " in word or "\t" in word or "\n" in word or not word:
        return NOTHING
    if "://" in word:
        return "<url>"
    if "/" in word or "\\" in word or word[:1] in "~.":
        return "<path>"
    if not DIGITS.isdisjoint(word):
        if OF_NUMBERS.issuperset(word):
            return "<n>"
        if len(word) >= 7 and OF_HEXADECIMAL.issuperset(word):
            return "<id>"
    if "." in word.strip("."):
        return "<mail>" if "@" in word else "<path>"
    return numberless(word)


def numberless(word: str) -> str:
    """*word* with <n> in the place of each number."""
    return word if DIGITS.isdisjoint(word) else re.sub("[0-9]+", "<n>", word)
