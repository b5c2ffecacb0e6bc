"""Words as a shell reads them back: ours does as shlex does, which is large to load for that alone."""

import shlex

import pytest

from queuectl_lib.host import system

WORDS = ["", "a", "a b", "it's", "''", "$HOME", "a\nb", "\\", "ä", "²", "%", "~", "*", "-x", "a=b", "{}", "!"]


@pytest.mark.parametrize("word", WORDS + [chr(number) for number in range(1, 128)])
def test_a_word_is_quoted_as_by_shlex(word):
    assert system.quoted(word) == shlex.quote(word)
