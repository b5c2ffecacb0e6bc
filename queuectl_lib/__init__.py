"""The rooms behind the three doors queuectl.py, storage.py and worker.py.

commands/   what one can type: a room for each command
...
"""

VERSION = "0.1.0"
BUNDLE = ("queuectl.py", "storage.py", "worker.py", "queuectl_lib")  # what is copied together
