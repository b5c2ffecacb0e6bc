"""QUEUECTL_DB_PATH: a database that the environment names, in place of the setting. Loaded only where it is set."""

from __future__ import annotations

import os

from queuectl_lib import settings
from queuectl_lib.host import system

# Of the environment, in place of the setting, as other programs of this name have it; and the home that it was for.
DB_PATH, DB_HOME = "QUEUECTL_DB_PATH", "QUEUECTL_DB_HOME"


def of(home: str, is_named: bool) -> str:
    """The database that QUEUECTL_DB_PATH names, in full, for *home*; "" for none. Raises BadInput.

    A home that *is_named* by --home counts more. What we start finds the same, wherever it runs, and for this home
    alone: a job may call another queuectl.py.
    """
    path, of_home = os.environ.get(DB_PATH), os.environ.get(DB_HOME)
    if not path or (os.path.abspath(home) != of_home if of_home else is_named):
        return ""
    path = os.path.join(system.current_directory(), settings.check_db_path(path, DB_PATH))
    os.environ.update({DB_PATH: path, DB_HOME: os.path.abspath(home)})
    return path
