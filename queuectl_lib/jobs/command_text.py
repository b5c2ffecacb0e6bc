"""What the text of a command asks of its shell: read just so far as to see which process its last command becomes."""

from __future__ import annotations

import functools
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import FrozenSet, List, Optional, Tuple

READ_MOST = 4000  # characters; what is longer gets a shell of its own
# What shows the shell that reads the text, or its place in ours; odd redirections; traces; a signal that bash ignores.
# (No more than strings: an idle worker compiles none of them.)
NEEDS_OWN_SHELL = (
    r"\$\$|PPID|\{\$\}|\btrap\b|\balias\b|<<|;;|BASH|\$\{?_\b|[<>]&(?!(?:\d|-)(?:[\s;&|<>]|\Z))"
    r"|\bset(?:[ \t]+[-+]\w+)*[ \t]+[-+]\w*[xm]|o[ \t]+(?:xtrace|monitor)\b"
    r"|\bkill[ \t]+(?:-s[ \t]*)?-?(?:SIG)?(?:QUIT|3\b)"
)
# An error in what is inserted, or at a constant: by it alone bash ends with another code than a fork of bash does.
MAY_BE_FATAL = (
    r"\$\(\(|\$\{\w+:?\?|\bset[ \t](?![ \t]*[-+][efC]+[ \t]*(?:[;&|\n]|\Z))|nounset"
    r"|\b(?:readonly|declare|typeset|E?UID|SHELLOPTS)\b"
)
ONE_BUILTIN = re.compile(r"\s*(?:true|false|echo|test)(?:[ \t]+(?:[\w./:,=@%+-]+|'[^'\\$`\[]*'))*\s*\Z")

INSERTED = r"\$(?:\w+|[?#*@!]|\{(?:[A-Za-z_]\w*|\d+)(?::?[-=+?][\w./ -]*)?\}|\(\([^()]*\)\)|\([^()'\"`\\]*\))"
WORD = r"(?:[\w./:,=@%%+~^*?\[\]{}!-]|'[^']*'|\"(?:[^\"\\`$]|\\.|%s)*\"|\\[^\n]|%s)+" % (INSERTED, INSERTED)
REDIRECTION = r"\d?(?:>>|>\||[<>]&(?:\d|-)|[<>])"
TOKEN = r"([ \t]+|\n|;|&&?|\|\|?|%s|%s)" % (REDIRECTION, WORD)
PROGRAM = re.compile(r"(?:~?/|\.{1,2}/|\w)[\w./:+@%,-]*\Z")
REDIRECTING = REDIRECTION + r"\Z"
ASSIGNMENT = r"[A-Za-z_]\w*="


def words_of(text: str) -> FrozenSet[str]:
    return frozenset(text.split())


BUILTINS = words_of(
    ": [ break cd continue echo exec exit export false getopts hash jobs kill local printf pwd read readonly return set"
    " shift test times true type ulimit umask unalias unset wait"
)
BEGINNERS = words_of("if while until {")  # a command follows
GOING_ON = words_of("then else elif do")  # the same
ENDERS = words_of("fi done }")
# What may change what the rest means, or is no simple command.
BEYOND = words_of(". ! [[ builtin case coproc enable esac eval function select shopt source")
# What else is no program in one shell or another, though it looks like one; as text, which weighs a tenth of a set.
NO_PROGRAMS = (
    " bg bind caller chdir command compgen complete compopt declare dirs disown fc fg help history let logout mapfile"
    " popd pushd readarray suspend time typeset "
)


@functools.lru_cache(maxsize=256)
def that_becomes_its_last_command(text: str, functions: FrozenSet[str] = frozenset()) -> Optional[str]:
    """*text* so that the shell which reads it becomes its last command, where that is a program, as `sh -c` does.

    Unchanged where the last command is no program of its own: no shell replaces itself by a builtin, a loop or a
    pipeline. None where that cannot be seen so simply: such text needs a shell of its own, which knows. *functions*:
    names that may be functions of the shell, whatever they look like.
    """
    if len(text) > READ_MOST or re.search(NEEDS_OWN_SHELL, text):
        return None
    tokens = re.findall(TOKEN, text.rstrip())
    if sum(map(len, tokens)) < len(text.rstrip()):
        return None  # parentheses, comments, backticks ...
    commands = first_words(tokens)
    words = {word for word, _, _ in commands}
    if not commands or words & BEYOND or words & functions:
        return None
    if not all(map(PROGRAM.match, words.difference(BUILTINS, BEGINNERS, GOING_ON, ENDERS, ("",)))):
        return None  # put together from quotes and insertions, a word may be trap, or any other
    opened = sum(word in BEGINNERS or word == "for" for word, _, _ in commands)
    word, place, before = commands[-1]
    if opened != sum(one in ENDERS for one, _, _ in commands) or (words & GOING_ON and not opened):
        return None
    if word in ENDERS and word != "done":  # a branch may end in a program
        return text if words <= BUILTINS | BEGINNERS | GOING_ON | ENDERS else None
    if word in BUILTINS or word in ("done", "") or before == "|" or tokens[-1] == "&":
        return text
    if word in BEGINNERS or word in GOING_ON or " %s " % word in NO_PROGRAMS or not PROGRAM.match(word):
        return None
    return text[:place] + "exec " + text[place:]


@functools.lru_cache(maxsize=256)
def may_end_its_shell(text: str) -> bool:
    """True where something in *text* may end the shell that reads it, as `set -u` and `${NAME?}` do."""
    return bool(re.search(MAY_BE_FATAL, text))


def is_one_program(text: str, functions: FrozenSet[str] = frozenset()) -> bool:
    """True where *text* is the call of one program and nothing else, but for what is inserted into its arguments."""
    becomes = that_becomes_its_last_command(text, functions)
    return becomes is not None and becomes.startswith("exec ", len(text) - len(text.lstrip())) and becomes != text


def first_words(tokens: List[str]) -> List[Tuple[str, int, str]]:
    """The first word of each simple command, where it stands, and which operator is before it; "" where it has none."""
    found: List[Tuple[str, int, str]] = []
    place, before, awaited, touched, target = 0, "", True, False, False
    for token in tokens + ["\n"]:
        if token[0] in "\n;&|":
            if awaited and touched:  # redirections and assignments alone
                found.append(("", place, before))
            before, awaited, touched, target = token, True, False, False
        elif token[0] not in " \t":
            touched = True
            if re.match(REDIRECTING, token):
                target = token[-1] in "<>|"
            elif target:
                target = False
            elif awaited and not re.match(ASSIGNMENT, token):
                found.append((token, place, before))
                awaited = token in BEGINNERS or token in GOING_ON
                touched = not awaited
        place += len(token)
    return found
