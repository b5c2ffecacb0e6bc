#!/usr/bin/env python3
"""bench: how fast the queue is, as ratios to yardsticks that run beside it.

    python3 tests/instruments/bench.py [--quick | --full] [--only 1,3,5 | --beside] [--json FILE] [--dir DIR]

Machines differ and are noisy, so no figure stands alone: every work is done by the queue
and by a yardstick (a bare loop, xargs, an interpreter that imports three modules), turn
by turn in the same run and with the same interpreter file. The ratio is the median of the
ratios of the turns, the spread their smallest and largest. A target that is not reached
is printed as such; nothing here is asserted, and the exit code tells only of breakage.

Every work is a function named after its number, with the rule that it follows in its
docstring: 8, 9, 12 and 13 in bench_growth.py, 6b in bench_waiting.py, the others in bench_works.py. What the
host lacks (/proc, a FIFO, xargs) is said in the row, not guessed.

--quick   seconds: does it run at all? The figures mean little.
(normal)  within six minutes on two cores; the large database has 200,000 jobs of a kind.
--full    1,000,000 jobs of a kind, more turns, an output of 1 GB, other queues beside it.
"""

import argparse
import json
import os
import platform
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time

from bench_ground import SCALES, Bench, Missing, absent_row, number_text, timed
from bench_growth import beside, growth_rows, work_8, work_9, work_12, work_13
from bench_waiting import work_6
from bench_works import work_1, work_2, work_3, work_4, work_5, work_7, work_10, work_11

WORKS = {
    1: work_1, 2: work_2, 3: work_3, 4: work_4, 5: work_5, 6: work_6,
    7: work_7, 8: work_8, 9: work_9, 10: work_10, 11: work_11, 12: work_12, 13: work_13,
}  # fmt: skip


def sync_cost(folder):
    """Milliseconds to append 100 bytes and sync them here: what durability costs at the least."""
    sync, times = getattr(os, "fdatasync", os.fsync), []
    with open(os.path.join(folder, "sync"), "wb", buffering=0) as file:
        for _ in range(50):
            began = time.perf_counter()
            file.write(b"x" * 100)
            sync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def start_cost(*flags):
    """Milliseconds that an interpreter takes to start and end."""
    return statistics.median(timed([sys.executable] + list(flags) + ["-c", "pass"])[0] for _ in range(5)) * 1000


def host_facts(bench):
    """What the figures depend on. Where much more than a bare start is site, .pth files weigh on both sides."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "mode": bench.scale.name,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.system(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": None if load is None else round(load, 2),
        "python_ms": round(start_cost(), 1),
        "python_without_site_ms": round(start_cost("-S"), 1),
        "sync_ms": round(sync_cost(bench.folder), 3),
        "rows": bench.scale.rows,
    }


def measure(bench, numbers):
    """Run the works; a word on standard error tells how far it is."""
    rows = []
    for number in numbers:
        began = time.monotonic()
        sys.stderr.write("work %d ... " % number)
        sys.stderr.flush()
        try:
            rows += WORKS[number](bench)
        except Missing as error:
            rows.append(absent_row(str(number), (WORKS[number].__doc__ or "").split(",")[0], "", str(error)))
        sys.stderr.write("%.1f s\n" % (time.monotonic() - began))
    return rows


def print_table(headings, rows):
    widths = [max(len(str(row[place])) for row in [headings] + rows) for place in range(len(headings))]
    for row in [headings] + rows:
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip())


def print_report(facts, rows, growth, others):
    print(", ".join("%s %s" % (name, value) for name, value in facts.items()))
    print()
    headings = ("no", "work", "ours", "yardstick", "ratio", "spread", "turns", "target", "reached", "note")
    if rows:
        print_table(headings, [row.cells() for row in rows])
    if growth:
        print()
        cells = [
            (what, number_text(a) + " " + unit, number_text(b) + " " + unit, "%.2f" % (b / a))
            for what, unit, a, b in growth
        ]
        print_table(("growth: 1,000 jobs and the large queue, unless said", "small", "large", "ratio"), cells)
    if others:
        print()
        print_table(
            ("beside it", "rate", "ours / theirs"),
            [(n, text, "-" if r is None else "%.2f" % r) for n, text, r in others],
        )


def as_json(facts, rows, growth, others):
    return {
        "host": facts,
        "works": [vars(row) for row in rows],
        "growth": [dict(zip(("what", "unit", "small", "large"), one)) for one in growth],
        "beside": [dict(zip(("name", "rate", "ratio"), one)) for one in others],
    }


def parse_options(argv):
    parser = argparse.ArgumentParser(description="measure the queue beside yardsticks")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="seconds: does it run at all?")
    size.add_argument("--full", action="store_true", help="a million jobs, more turns, other queues beside it")
    parser.add_argument("--only", metavar="N[,N]", help="only these works (1 to 13)")
    parser.add_argument("--beside", action="store_true", help="only the other queues that are installed")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--dir", metavar="DIR", help="work in a new folder there: a disk, not memory")
    options = parser.parse_args(argv)
    if options.beside:
        options.only = ""
    words = list(map(str, WORKS)) if options.only is None else options.only.split(",")
    try:
        options.numbers = sorted(int(word) for word in words if word)
    except ValueError:
        parser.error("--only takes numbers such as 1,3,5")
    if not set(options.numbers) <= set(WORKS):
        parser.error("--only takes numbers from 1 to %d" % len(WORKS))
    return options


def main(argv=None):
    options = parse_options(argv)
    scale = SCALES["quick" if options.quick else "full" if options.full else "normal"]
    folder = tempfile.mkdtemp(prefix="queuectl-bench-", dir=options.dir)
    try:
        bench = Bench(scale, folder)
        facts = host_facts(bench)
        rows = measure(bench, options.numbers)
        if options.only is None:
            growth_rows(bench)
        others = beside(bench) if options.beside or (options.full and options.only is None) else []
        facts["seconds"] = round(time.monotonic() - bench.began)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print_report(facts, rows, bench.growth, others)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(as_json(facts, rows, bench.growth, others), file, indent=2)
            file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
