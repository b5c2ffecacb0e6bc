"""Who reads the text of a command where that is not /bin/sh: the program that its first line names (#!), or --shell."""

from __future__ import annotations

import os

from queuectl_lib import errors, values
from queuectl_lib.errors import BadInput
from queuectl_lib.host import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional

MARK = "#!"


def named_in(text: str) -> List[str]:
    """The words of the first line of *text* behind its mark, as the kernel has them: a program, and one argument."""
    line = text[len(MARK) :].split("\n", 1)[0].replace("\t", " ").strip()
    program, _, argument = line.partition(" ")
    return [word for word in (program, argument.strip()) if word]


def check_text(text: str, env: object) -> None:
    """Raise BadInput where *text*, which begins with the mark, has no interpreter here, for a job with *env*."""
    if system.WINDOWS:
        raise BadInput("command: Windows runs no text by what its first line names (#!): give the program behind --")
    words = named_in(text)
    if not words or not os.path.isabs(words[0]):
        raise BadInput("command: its first line names no interpreter, such as #!/bin/bash or #!/usr/bin/env python3")
    if not is_program(words[0]):
        named = errors.shown(words[0])
        raise BadInput("command: %s, which its first line names, is no program that can be run here" % named)
    if os.path.basename(words[0]) != "env" or len(words) < 2 or words[1].startswith("-") or "=" in words[1]:
        return
    path = env.get("PATH") if isinstance(env, dict) else None
    if found_on(words[1], path if isinstance(path, str) else None) is None:
        why = " (with arguments: #!/usr/bin/env -S)" if " " in words[1] else ""
        text = "command: %s, which its first line names, was not found on PATH%s"
        raise BadInput(text % (errors.shown(words[1]), why))


def check_shell(value: object, key: str) -> str:
    """The path of the shell that *value* names, which must be there. Raises BadInput."""
    shell = check_path(value, key)
    if os.path.dirname(shell):
        path: Optional[str] = shell if is_program(shell) else None
    else:
        path = found_on(shell, None)
    if path is None:
        text = "%s: %s is no program that can be run here: name one such as /bin/bash"
        raise BadInput(text % (key, errors.shown(shell)))
    return os.path.abspath(path)


def check_path(value: object, key: str) -> str:
    """*value* where it can be the path of a shell, or the name of one. Raises BadInput."""
    if system.WINDOWS:
        raise BadInput("%s: on Windows cmd reads a text: give another program behind --" % key)
    text = values.check_text(value, key)
    if not text or (os.path.dirname(text) and not os.path.isabs(text)) or len(text) > 4096:
        raise BadInput("%s: %s is no whole path such as /bin/bash" % (key, errors.shown(text)))
    return text


def check_setting(value: object, key: str) -> Optional[str]:
    """The same of the setting; whether it is there is asked when a job is added or started. Raises BadInput."""
    if value is None:
        return None
    text = check_path(value, key)
    if not os.path.isabs(text):
        raise BadInput("%s: %s is no whole path such as /bin/bash" % (key, errors.shown(text)))
    return text


def is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def found_on(name: str, path: Optional[str]) -> Optional[str]:
    """The file that the bare *name* means by this PATH, or by ours."""
    import shutil  # with three compressors: needed only for what has no path

    return shutil.which(name, path=path)
