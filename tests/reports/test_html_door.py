"""The door through which a text goes into a page: forty hostile ones stay what they are, text."""

import pytest
from helpers import hostile
from helpers.page import Page

from queuectl_lib import errors
from queuectl_lib.reports import markup


@pytest.mark.parametrize("text", hostile.STRINGS, ids=range(len(hostile.STRINGS)))
def test_a_text_of_a_job_is_text_in_an_element_and_in_an_attribute(text):
    shown = markup.html_text(text, 100000)
    page = Page('<p title="%s">%s</p><i>%s</i>' % (shown, shown, markup.element("b", shown, title=text)))
    seen = errors.printable(text)
    assert [data for name, data in page.texts if name == "p"] == [seen]
    assert page.elements[0] == ("p", {"title": seen})
    assert [name for name, _ in page.elements] == ["p", "i", "b"]
    assert set(shown) & set("<>\"'") == set() and shown.isprintable()
    shown.encode("utf-8")


def test_a_long_text_is_cut_before_it_is_made_safe():
    assert markup.html_text("<" * 500, 10) == "&lt;" * 7 + "..."
    assert markup.html_text("\x1b" * 500, 10) == "\\x1b\\x1..."
    assert len(markup.html_text('"' * 10**7)) < 200 * 6


def test_what_is_no_text_is_shown_as_one():
    assert markup.html_text(None) == "None" and markup.html_text(b"<\xff") == "b&#x27;&lt;\\xff&#x27;"


def test_what_can_be_typed_is_code_and_nothing_else_is():
    assert markup.told("`a <b>` or `c`") == "<code>a &lt;b&gt;</code> or <code>c</code>"
    assert markup.told("one ` alone") == "one ` alone"


def test_a_cut_is_named():
    assert markup.some_of(50, 8112, "kinds") == "50 of 8,112 kinds"
    assert markup.some_of(50, 50, "kinds") == ""
