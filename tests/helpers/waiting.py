"""Waiting for what another process does: for a condition, never for a time."""

import time

import pytest

from helpers.marks import WINDOWS

PATIENCE = 60.0 if WINDOWS else 20.0  # seconds


def wait_until(condition, what, seconds=PATIENCE):
    """Wait for *condition* to return something true, and return it; fails naming *what* was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail("waited %g s for %s" % (seconds, what))
        time.sleep(0.02)
