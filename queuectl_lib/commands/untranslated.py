"""argparse without gettext, which would look for translations of its few words: none is there, and that takes long.

Every `add` pays for what is loaded, and a twentieth of it was this. Who imports gettext itself gets the real one.
"""

from __future__ import annotations

import sys


def as_it_is(text: str) -> str:
    return text


def one_or_many(one: str, many: str, number: int) -> str:
    return one if number == 1 else many


stands_in = "gettext" not in sys.modules
if stands_in:
    stand_in = type(sys)("gettext")
    stand_in.gettext, stand_in.ngettext = as_it_is, one_or_many  # type: ignore[attr-defined]
    sys.modules["gettext"] = stand_in
try:
    import argparse as argparse
finally:
    if stands_in:
        del sys.modules["gettext"]
