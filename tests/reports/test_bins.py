"""Numbers in bins: of time, of lengths of time, of lanes."""

import random
from types import SimpleNamespace

import pytest

from queuectl_lib.reports import bins

HOUR = 3600


@pytest.mark.parametrize("seconds", [60, 90, 3599, 3600, 86400, 7 * 86400, 366 * 86400, 36600 * 86400])
def test_no_stretch_of_time_has_more_bins_than_were_asked_for_and_all_of_it_is_in_them(seconds):
    for until in (1800000000.0, 1800001234.5):
        found = bins.of_time(until - seconds, until, 5400, 120)
        assert 1 <= found.count <= 120
        assert found.place(until - seconds) == 0
        assert found.place(until) == found.count - 1
        assert (found.begin + 5400) % found.width == 0 or found.width > 86400


def test_what_lies_outside_has_no_bin():
    found = bins.of_time(1000, 2000, 0, 10)
    assert found.place(found.begin - 1) is None
    assert found.place(found.begin + found.count * found.width) is None


def test_the_mean_at_once_is_that_of_each_second():
    chance = random.Random(5)
    parts = bins.Bins(100.0, 10, 7)
    spans = [(begin, begin + chance.choice([0, 1, 4, 10, 33, 500])) for begin in range(40, 180, 3)]
    expected = []
    for begin in parts.begins():
        seconds = range(int(begin), int(begin) + 10)
        expected.append(sum(low <= second < high for second in seconds for low, high in spans) / 10.0)
    assert bins.mean_at_once(spans, parts, 1.0, 170.0) == pytest.approx(expected)
    assert bins.mean_at_once(spans, parts, 2.0, 170.0) == pytest.approx([2 * one for one in expected])


def test_the_last_bin_is_a_mean_of_its_part_that_was():
    assert bins.mean_at_once([(0.0, 15.0)], bins.Bins(0.0, 10, 2), 1.0, 15.0) == pytest.approx([1.0, 1.0])


def test_edges_of_lengths_hold_all():
    for low, high in ((0.0001, 0.0001), (0.3, 7200), (1e-9, 1e12), (5, 5)):
        edges = bins.log_edges(low, high)
        assert len(edges) >= 2 and list(edges) == sorted(edges)
        assert 0 <= bins.log_place(low, edges) <= bins.log_place(high, edges) <= len(edges) - 2
    edges = bins.log_edges(0.3, 7200)
    assert edges[0] <= 0.3 and edges[-1] > 7200
    assert edges[bins.log_place(61, edges)] == 60


def test_a_scale_is_round_and_not_much_too_large():
    for value in (0, 0.2, 1, 1.01, 7, 10, 11, 99, 101, 1179, 1234567):
        top = bins.round_up(value)
        assert top >= value and (top <= 1.35 * value or value < 1)


def attempt(began, ended):
    return SimpleNamespace(began=began, ended=ended, worker="w")


def test_a_worker_has_as_many_lanes_as_it_ran_at_once():
    lanes = bins.slots_of([attempt(0, 10), attempt(1, 2), attempt(2, 3), attempt(5, None), attempt(10, 11)], 20)
    assert [[one.began for one in lane] for lane in lanes] == [[0, 10], [1, 2, 5]]


def test_lanes_of_attempts_that_end_before_they_begin():
    assert [len(lane) for lane in bins.slots_of([attempt(5, 1), attempt(5, 1)], 20)] == [2]
