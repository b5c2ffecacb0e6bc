"""Daemons that a test brings along, in the foreground each: started, looked at and stopped by its pid."""

import os
import socket
import subprocess


class Daemon:
    def __init__(self, words, log, environment):
        with open(log, "ab") as file:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True, cwd="/",
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", **environment},
            )  # fmt: skip

    def lives(self):
        return self.process.poll() is None

    def stop(self, seconds=10):
        """TERM, and KILL to what does not heed it; waited for."""
        if self.lives():
            self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self):
        self.process.kill()
        self.process.wait()


def free_ports(count):
    """Ports of loopback that nobody has now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def is_root():
    return hasattr(os, "geteuid") and os.geteuid() == 0
