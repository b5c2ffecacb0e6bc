"""Keys by their names, from the bytes that a terminal sends for them: "a", "up", "enter", "escape". Pure.

An escape character begins a sequence, or is the key of that name: who reads waits a moment for more (ends_open), then
says that nothing came (let_go).
"""

from __future__ import annotations

import codecs
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

PATIENCE_SECONDS = 0.05  # for the rest of a sequence
MOST_BYTES = 32  # of a sequence
# What begins with an escape character: ESC [ parameters letter, ESC O letter, or ESC and a character (Alt).
SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[A-Za-z]|[^\[O])", re.S)
NAMES = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\x1b[H": "home",
    "\x1bOH": "home",
    "\x1b[1~": "home",
    "\x1b[F": "end",
    "\x1bOF": "end",
    "\x1b[4~": "end",
    "\x1bOM": "enter",
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\x0c": "redraw",
    "\x04": "q",
    "\x15": "clear line",
    " ": "space",
    "\x1b": "escape",
}


class Keys:
    """What was typed so far and is no key yet."""

    def __init__(self) -> None:
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.text = ""

    def feed(self, data: bytes) -> List[str]:
        """The keys that *data* completes; a sequence that is not known is none."""
        self.text += self.decoder.decode(data)
        found = []
        while self.text:
            if self.text[0] == "\x1b":
                match = SEQUENCE.match(self.text)
                if match is None:
                    if len(self.text) <= MOST_BYTES:
                        break
                    self.text = ""  # no terminal sends that
                    break
                key = match.group()
                if key[1] == "\x1b":  # two of them: the first is a key
                    key = "\x1b"
            else:
                key = self.text[0]
            self.text = self.text[len(key) :]
            name = NAMES.get(key, key if len(key) == 1 and key.isprintable() else "")
            found += [name] if name else []
        return found

    def ends_open(self) -> bool:
        """True where more may belong to what was typed last."""
        return bool(self.text)

    def let_go(self) -> List[str]:
        """Nothing more has come: an escape character alone is the key, all else that began with one is none."""
        text, self.text = self.text, ""
        return ["escape"] if text == "\x1b" else []
