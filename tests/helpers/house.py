"""The rooms of the house and the floors that they stand on. Run, it prints them: `make rooms`."""

import ast
import glob
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DOORS = ("queuectl.py", "storage.py", "worker.py")
# From the ground up; an import goes down, or stays on its floor without a circle.
FLOORS = (
    tuple(
        "queuectl_lib/%s.py" % name
        for name in ("__init__", "contexts", "errors", "meant", "values", "times", "lacking", "stored_times")
    ),
    ("queuectl_lib/host/",),
    ("queuectl_lib/jobs/", "queuectl_lib/settings.py"),
    ("queuectl_lib/store/",),
    ("storage.py",),
    ("queuectl_lib/run/",),
    ("worker.py",),
    ("queuectl_lib/reports/", "queuectl_lib/doctor/"),
    ("queuectl_lib/commands/",),
    ("queuectl.py",),
)
def text_of(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def rooms():
    inside = glob.glob(os.path.join(ROOT, "queuectl_lib", "**", "*.py"), recursive=True)
    return sorted(list(DOORS) + [os.path.relpath(path, ROOT).replace(os.sep, "/") for path in inside])


class Trees(dict):
    """The syntax tree of each room, made when it is asked for: all of them take two seconds."""

    def __missing__(self, name):
        self[name] = ast.parse(text_of(name))
        return self[name]


ROOMS = tuple(rooms())
TREES = Trees()


def floor_of(name):
    """The number of the floor that the room *name* stands on; -1 for the first file of a wing, which is empty."""
    if name.endswith("/__init__.py") and not TREES[name].body:
        return -1
    return next(floor for floor, places in enumerate(FLOORS) for place in places if name.startswith(place))


def main():
    """Floor, lines and first sentence of each room, from the top down."""
    filled = [name for name in ROOMS if TREES[name].body]
    for name in sorted(filled, key=lambda name: (-floor_of(name), name)):
        sentence = (ast.get_docstring(TREES[name]) or "").split("\n")[0]
        print("%d  %4d  %-37s %s" % (floor_of(name), text_of(name).count("\n"), name, sentence))
    print("   %5d  lines in %d rooms" % (sum(text_of(name).count("\n") for name in filled), len(filled)))


if __name__ == "__main__":
    main()
