"""How wide text is on a terminal, and columns that fit it: each with a least width, the last one for a command."""

from __future__ import annotations

import unicodedata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Sequence, Tuple

GAP = 2
LEAST = 14  # cells of a column that holds text of others
LEAST_LAST = 20  # of the last one, which is most often a command
FIRST_LEAST, LAST_LEAST = 36, 28  # of the first one a UUID in full, where there is room for so much of the last one
LEAST_SPARE = 24  # of one that may go, while there is another that goes first
NARROWEST = 11  # of the next that goes: "exit 127..."
LOOKED_AT = 4  # characters for each cell that there is: marks on others take none
CUT = "..."
JAMO = ("\u1160", "\u11ff")  # the later parts of a Korean syllable, which stand within its first


def width_of(char: str) -> int:
    """Cells of a terminal that a printable character takes: East Asian ones two, marks on another none."""
    if char.isascii():
        return 1
    if unicodedata.category(char) in ("Mn", "Me") or JAMO[0] <= char <= JAMO[1]:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cells(text: str) -> int:
    """How many cells *text*, which is printable, takes."""
    return len(text) if text.isascii() else sum(map(width_of, text))


def padded(text: str, width: int) -> str:
    return text + " " * (width - cells(text))


def beginning(text: str, width: int) -> str:
    """As much of *text* as *width* cells hold."""
    used = 0
    for place, char in enumerate(text):
        used += width_of(char)
        if used > width:
            return text[:place]
    return text


def cut(text: str, width: int) -> str:
    """*text* in at most *width* cells: its end is what goes."""
    if cells(text) <= width:
        return text
    return beginning(text, width - len(CUT)) + CUT if width > len(CUT) else beginning(text, width)


def cut_within(text: str, width: int) -> str:
    """The same of a name: its middle is what goes, for names that were made alike differ at their ends."""
    if cells(text) <= width:
        return text
    behind = (width - len(CUT)) // 2
    end = beginning(text[::-1], behind)[::-1]
    return beginning(text, width - len(CUT) - cells(end)) + CUT + end


# ---------------------------------------------------------------- tables


def fitted(
    table: Sequence[Sequence[str]], room: Optional[int], spare: Sequence[str] = (), unheaded: bool = False
) -> Tuple[List[List[str]], List[int]]:
    """*table*, its headings first, in *room* cells (None: as wide as it likes), and which of its columns stayed.

    Where the least widths do not fit, the columns with the headings *spare* go, the first of them first.
    *unheaded*: the headings are names alone, and take no room.
    """
    kept = list(range(len(table[0])))
    shown = table[unheaded:]
    if room is None:  # and the last one ends where it ends
        return aligned(table, kept, [*[max(cells(row[i]) for row in shown) for i in kept[:-1]], None]), kept
    shown = [[cell[: room * LOOKED_AT] for cell in row] for row in shown]  # of a command of 100 kB
    gone = [table[0].index(heading) for heading in spare if heading in table[0]]
    needed = [max(cells(row[i]) for row in shown) for i in kept]
    while True:
        natural = {i: needed[i] for i in kept}
        for first, last in ((FIRST_LEAST, LAST_LEAST), (LEAST, LEAST_LAST)):
            least = {i: min(natural[i], least_of(i, kept, first, last, gone)) for i in kept}
            if sum(least.values()) + GAP * (len(kept) - 1) <= room:
                return aligned(table, kept, shared(natural, least, room - GAP * (len(kept) - 1))), kept
        if not gone:
            break
        kept.remove(gone.pop(0))
    return aligned(table, kept, squeezed([least[i] for i in kept], room - GAP * (len(kept) - 1))), kept


def squeezed(widths: List[int], room: int) -> List[int]:
    """*widths* for a terminal too narrow for them: the last gives way, then the widest."""
    widths[-1] = max(min(widths[-1], NARROWEST), widths[-1] - max(0, sum(widths) - room))
    while sum(widths) > max(room, len(widths)):
        widths[widths.index(max(widths))] -= 1
    return widths


def least_of(place: int, kept: Sequence[int], first: int, last: int, spare: Sequence[int]) -> int:
    """How narrow the column at a *place* may be, the *first* and the *last*; those *spare* go in that order."""
    if place == kept[-1]:
        return last
    if place in spare:
        return NARROWEST if place == spare[0] else LEAST_SPARE
    return first if place == kept[0] else LEAST


def shared(natural: Dict[int, int], least: Dict[int, int], room: int) -> List[int]:
    """The widths of columns that need *natural* cells and must have the *least*: what is left goes to the narrowest."""
    widths, left = dict(least), room - sum(least.values())
    while left > 0:
        narrow = [i for i in widths if widths[i] < natural[i]]
        if not narrow:
            break
        lowest = min(narrow, key=lambda i: (widths[i], i))
        widths[lowest] += 1
        left -= 1
    return list(widths.values())


def aligned(table: Sequence[Sequence[str]], kept: Sequence[int], widths: Sequence[Optional[int]]) -> List[List[str]]:
    """The cells of the columns *kept*, each as wide as its column; the last one is cut alone, or (None) not at all."""
    last = len(kept) - 1
    found = []
    for row in table:
        line = []
        for place, (i, width) in enumerate(zip(kept, widths)):
            text = row[i]
            if width is not None:
                text = cut_within(text, width) if i == 0 else cut(text[: width * LOOKED_AT + 1], width)
                text = text if place == last else padded(text, width)
            line.append(text)
        found.append(line)
    return found
