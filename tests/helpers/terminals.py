"""What was written to a terminal, all of it."""

import os

# Linux reports the end of a terminal as soon as nobody writes any more: once, lines of a process that had ended well
# were still on their way then. So a test keeps the writing end open, and writes this behind all that it waited for.
THE_END = b"\0the end\0"


def read_to_the_end(terminal):
    """What was written to the other side of *terminal*, a descriptor, before THE_END."""
    shown = b""
    while not shown.endswith(THE_END):
        shown += os.read(terminal, 65536)
    return shown[: -len(THE_END)]
