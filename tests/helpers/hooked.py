"""A hook that keeps what it is told, and what it has said it was told, in the home of a test."""

import json
import os

from helpers.home import contents

# One line a batch into `batches`, once all of it is there: a hook that is killed before has told nobody.
KEEPS = 'cat > told.$$ && echo "$QUEUECTL_EVENT $QUEUECTL_EVENTS" >> batches && cat told.$$ >> told; rm told.$$'


def set_hook(home, hook=KEEPS, on="dead", every="0.1s"):
    """Set it: by words of a command line, or a list. It is told of what ends from now on."""
    home.run("initdb")
    home.run("config", "set", "hook_on", on)
    home.run("config", "set", "hook_every", every)
    home.run("config", "set", "hook", hook if isinstance(hook, str) else json.dumps(hook))


def told(home):
    """The events that it was told of."""
    return [json.loads(line) for line in contents(os.path.join(home.path, "told")).splitlines()]


def batches(home):
    """The most serious word and the number of events of each batch."""
    return contents(os.path.join(home.path, "batches")).splitlines()


def ids(home, word="dead"):
    return [event["id"] for event in told(home) if event["event"] == word]
