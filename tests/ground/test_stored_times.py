"""Times as they are stored, read quickly: the same as one by one, also of what nobody of us has written."""

import random

import pytest

from queuectl_lib import stored_times, times

ODD = (
    *(None, 7, 1.5, b"2027-03-04T05:06:07.000008Z", "", "x" * 27, "2027-03-04", "2027-03-04T05:06:07Z"),
    *("2027-03-04T05:06:60.000008Z", "2027-03-04T05:06:99.000008Z", "2027-13-04T05:06:07.000008Z"),
    *("2027-03-04T05:06:07,000008Z", "2027-03-04T05:06:07.000008z", "2027-03-04T05:06:07.0000 8Z"),
    *("2027-03-04T05:06:07.00_008Z", "2027-03-04T05:06:-7.000008Z", "2027-03-04T05:06:07.000008+"),
    *("2027-03-04T05:06:0\u0667.000008Z", "2027-03-04T05:06:\u00b2\u00b2.000008Z", "2027-03-04T05:06:07.00000\u00b2Z"),
    *("2027-03-04T05:06:07.000008Z\n", "2027-03-04 05:06:07.000008Z", "9999-12-31T23:59:59.000000Z"),
)


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_what_nobody_of_us_has_written_is_read_as_one_by_one(value):
    clock = stored_times.Clock()
    for _ in range(2):
        assert clock.seconds(value) == times.seconds_or(value, -1.0)


def test_a_time_that_was_written_is_read_to_the_microsecond():
    chance, clock = random.Random(2), stored_times.Clock()
    for _ in range(3000):
        seconds = chance.choice([chance.uniform(0, 4e9), 1.8e9 + chance.random() * 100])
        text = times.utc_text(seconds)
        assert times.utc_text(clock.seconds(text)) == text and clock.micros(text) == int(round(seconds * 1000000))


def test_no_more_minutes_are_known_than_a_reader_has_room_for(monkeypatch):
    monkeypatch.setattr(stored_times, "MOST_MINUTES", 3)
    clock = stored_times.Clock()
    for minute in range(20):
        assert clock.seconds(times.utc_text(minute * 60.0)) == minute * 60
        assert len(clock.minutes) <= 3
