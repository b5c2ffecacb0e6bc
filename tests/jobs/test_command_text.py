"""What is read of a command's text: which process its last command becomes."""

import time

import pytest

from queuectl_lib.jobs import command_text

# As `sh -c` does, the shell becomes the last command: [] marks where that is.
BECOMES = (
    *(
        "[]./b.sh",
        "[]/bin/true",
        "  []sleep 1",
        "[]x 'a; b' \"c && $HOME\" $(date +%s) >f 2>&1",
        "[]x a;",
        "[]~/bin/x -v",
    ),
    *(
        "cd /x && []./b.sh",
        "touch a; []/bin/true",
        "a\nb\n[]c\n",
        "a || []b",
        "a & []b",
        "a | b; []c",
        "if a; then b; fi; []c",
    ),
    *(
        "FOO=1 []./b.sh",
        "A='x y' B=$C []x",
        "while :; do a; done; []b",
        "set -e; x; []y",
        "2>&1 []x",
        "[]find x -exec rm {} +",
    ),
    *("[ -e x ] || []y", 'x=$(date); []b "$x"', "cd . && []x", "for i in 1 2; do a $i; done; []b"),
)
# The last is no program: a builtin, a pipeline, a loop, something in the background.
STAYS = (
    *("true", "exit 3", "echo x; exit 0", "sleep 0 && echo x", "a | b", "a; b | c", "a &", "a & ", "x; exec y", "wait"),
    *("for i in 1 2; do ./x $i; done", "while [ ! -e go ]; do sleep 1; done", "if [ -e x ]; then echo y; fi", "a; > f"),
    *("a; x=1", "a; x=$(b)", "sleep 60 & echo $!", "a &> f", "{ echo x; }", "> f"),
)
# Only a shell knows.
OWN_SHELL = (
    *("(a)", "f() { a; }; f", "a # b", "a `b`", "case x in x) a;; esac", "cat <<E\nx\nE", "if a; then b; fi", "{ a; }"),
    *("! a", "time a", "$CMD a", "'x y' a", "-odd", "eval x; y", ". ./x; y", "source x; y", "trap x EXIT; y", "a\\\nb"),
    *(
        "alias x=y\nx",
        "echo $$",
        "x $PPID",
        "[[ -e x ]]",
        "function f { a; }; f",
        "if a",
        "coproc a",
        "a ${x#y}",
        "'",
        '"',
    ),
    # A word that is put together may be anything, whatever comes after it.
    *(
        "tr''ap 'x' EXIT; y",
        "tr\\ap x EXIT; y",
        "x=trap; $x y EXIT; z",
        "${x}p y; z",
        "$(x)p y; z",
        "'x'; y",
        "t{r,}ap x; y",
    ),
    *("e''val x; true", "s''et -u; echo x", "x[0]=1; y", "-x; y"),
    # Odd redirections, words out of place, what shows the shell itself, traces.
    *("a 2>& 1", "a 2>&1x", ">&1x a", "a >&10", "then", "do", "then a; b", "else", "a; esac", "a ${1x}"),
    *(
        "echo $_",
        "echo $BASH_SUBSHELL",
        "set -x; a",
        "set -ex; a",
        "set -e -x; a",
        "set -o xtrace; a",
        "set -m; a",
        "kill -QUIT 0; a",
    ),
    "x" * 5000,
)


@pytest.mark.parametrize("text", BECOMES)
def test_where_the_last_command_is_a_program_the_shell_becomes_it(text):
    assert command_text.that_becomes_its_last_command(text.replace("[]", "")) == text.replace("[]", "exec ")


@pytest.mark.parametrize("text", STAYS)
def test_where_the_last_command_is_none_the_text_stays_as_it_is(text):
    assert command_text.that_becomes_its_last_command(text) == text


@pytest.mark.parametrize("text", OWN_SHELL)
def test_what_cannot_be_read_so_simply_is_left_to_a_shell_of_its_own(text):
    assert command_text.that_becomes_its_last_command(text) is None


def test_what_a_function_may_be_called_is_no_program():
    for text in ("module load x", "cd x; module load x", "module load x; exit 0"):
        assert command_text.that_becomes_its_last_command(text, frozenset(["module"])) is None


def test_what_may_end_its_shell_by_an_error_is_told_from_what_cannot():
    fatal = ["set -u; a", "set -eu; a", "set -euo pipefail\na", "set -o nounset; a", "echo ${a?}", "x=${a:?no b}"]
    fatal += ["echo $((1/0))", "readonly x=1; x=2", "UID=3; a", "declare -r x=1; x=2", "set -e -u; a"]
    others = ["a", "set -e; a", "set -e\na", "set -ef; a", "echo $a ${a-b} ${a:=c}", "settle; a", "a set-u", "GUID=3 a"]
    assert [text for text in fatal + others if command_text.may_end_its_shell(text)] == fatal


def test_one_program_is_told_from_several_commands():
    one = ["./x", "x a 'b; c' >f", " printenv a.b"]
    several = ["cd x && ./y", "./x; ./y", "true", "x | y", "x &", "exec x", "FOO=1 x", "(x)"]
    assert [text for text in one + several if command_text.is_one_program(text)] == one


def test_no_text_takes_long_to_read():
    """However it is made: quotes that do not close, words of many parts, nested insertions."""
    for text in (
        "'" * 3999,
        '"' * 3999,
        "a" * 3999 + "(",
        "$(" * 1999,
        "a;" * 1999 + "(",
        '"$a' * 1333,
        "${a" * 1333,
        "\\" * 3999,
        "set " * 999,
        "set -" * 799,
        "set" + " -" * 1999,
        "${" + "a" * 3997,
    ):
        began = time.process_time()
        command_text.that_becomes_its_last_command(text)
        command_text.may_end_its_shell(text)
        assert time.process_time() - began < 0.5, text[:20]
