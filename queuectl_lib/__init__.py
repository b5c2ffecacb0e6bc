"""The house behind the doors queuectl.py, storage.py and worker.py: rooms, on floors. An import goes only down.

    queuectl.py   DOOR  is this Python fit, is all here; then commands/main
    commands/     what one can type: a table, and a room for each command
    doctor/       whether a host can run the queue        reports/   what is told of a queue
    worker.py     DOOR  supervisor and worker: who watches whom
    run/          what these two stand on: attempts, launching, evidence, orphans, starting
    storage.py    DOOR  the queue: each arrow of the state machine
    store/        what that stands on: SQL, the database and the folder beside it, who is alive
    jobs/         what a job is: states (the machine is drawn there), fields, ids, reading
    settings      what can be set
    host/         files, locks, signals, processes: the only rooms that ask which system this is
    contexts  errors  meant  values  times  the ground

`make rooms` prints every room with its lines and its first sentence. The laws of the house are
tests/test_house.py.
"""

VERSION = "0.1.0"
BUNDLE = ("queuectl.py", "storage.py", "worker.py", "queuectl_lib")  # what is copied together


def refuse_other_version(door: object) -> None:
    """Raise ImportError where a door (a module) is of another version than the rooms behind it."""
    name, version = getattr(door, "__name__", ""), getattr(door, "VERSION", "older")
    if version != VERSION:
        raise ImportError("%s.py is %s and queuectl_lib is %s" % (name, version, VERSION), name=name)
