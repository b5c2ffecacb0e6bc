"""Rules of a job that bind its process: how far it is behind others (nice), and limits of the system.

A Python sets them between the watcher and the command, and becomes the command: so they bind all that it starts and
nothing of ours, alike under every shell. What cannot be set keeps the job from starting.
"""

from __future__ import annotations

from queuectl_lib.errors import BadInput
from queuectl_lib.host import bounds
from queuectl_lib.jobs import policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Tuple

    from queuectl_lib.values import Fields

# Before run/carrying.CARRY. The code 126 is for a refusal that showed only here: the command does not run without.
SET = """import os, resource, sys
try:
    for name, soft, hard in %r:
        resource.setrlimit(getattr(resource, "RLIMIT_" + name.upper()), (soft, hard))
    if %d:
        os.setpriority(os.PRIO_PROCESS, 0, min(19, os.getpriority(os.PRIO_PROCESS, 0) + %d))
except (OSError, ValueError, AttributeError) as error:
    sys.stderr.write("queuectl: the limits of this job cannot be set: %%s\\n" %% error)
    sys.exit(126)
"""


def script(rules: Fields) -> str:
    """What sets them, for run/carrying. Raises ValueError, in words, where they cannot be set here."""
    nice, limits = checked(rules)
    limited = [(name, value, bounds.bound(name, value)) for name, value in sorted(limits.items())]
    if nice < 0 and not bounds.may_go_ahead(nice):
        raise ValueError("nice %d: only root may run a job before others" % nice)
    return SET % (limited, nice, nice)


def checked(rules: Fields) -> Tuple[int, Dict[str, int]]:
    """Both, as enqueue checks them. Raises ValueError: a row can be changed by hand."""
    try:
        nice = policy.RULES["nice"].check(rules.get("nice", 0), "nice")
        return nice, policy.RULES["limit"].check(rules["limit"], "limit") if "limit" in rules else {}
    except BadInput as error:
        raise ValueError(str(error)) from None
