"""Zones of the host's clock, by rules that need no database of them, and how a test gets into one."""

import contextlib
import datetime
import os
import time

import pytest

needs_tzset = pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process is fixed here")

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
LORD_HOWE = "LHST-10:30LHDT-11,M10.1.0,M4.1.0"  # half an hour
SAO_PAULO = "BRT3BRST,M10.3.0/0,M2.3.0/0"  # at midnight
NEW_YORK = "EST5EDT,M3.2.0,M11.1.0"
APIA = "Pacific/Apia"  # which had no 30 December 2011; it needs the database


@contextlib.contextmanager
def zone(name):
    """Within it, the clock on the wall is that of *name*."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


def at(text, offset=0.0):
    """Seconds since 1970 of an ISO 8601 wall time, *offset* hours east of UTC."""
    moment = datetime.datetime.fromisoformat(text)
    return (moment - datetime.datetime(1970, 1, 1)).total_seconds() - offset * 3600
