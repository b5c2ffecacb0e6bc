"""Standard error that nobody can hold us up with (a full pipe, a stopped terminal); and a pipe that is not read."""

from __future__ import annotations

import _socket as socket  # see waking
import errno
import os
import select
import signal
import stat
import sys

FD = 2


class State:
    """How this process writes there."""

    asks = False  # whether it can be written to, first: where the stream is shared with others and may block
    is_socket = False


def never_wait() -> None:
    """See that no write of this process to standard error waits: from here on :func:`write` refuses instead.

    A flag that says so belongs to the open stream, which we share with the shell that started us and with
    whatever else writes there; so it is opened anew. A file is left as it is. (On Windows all is.)
    """
    if sys.platform == "win32":
        return
    mode = os.fstat(FD).st_mode
    State.asks, State.is_socket = False, stat.S_ISSOCK(mode)
    if os.isatty(FD):
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # `stty tostop` would stop us in the background
    if not (State.is_socket or stat.S_ISREG(mode)):
        try:
            anew = os.open(name_of_stream(), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_APPEND)
            os.dup2(anew, FD)
            os.close(anew)
        except OSError:  # it belongs to another user, or to a reader that is gone
            State.asks = True


def name_of_stream() -> str:
    """A path that opens the pipe or terminal of standard error anew. Raises OSError where there is none."""
    if sys.platform == "win32":
        raise NotImplementedError
    return "/proc/self/fd/%d" % FD if sys.platform == "linux" else os.ttyname(FD)


def write(data: bytes) -> int:
    """Write to standard error as many bytes of *data* as it takes now. Raises OSError, BlockingIOError where none."""
    if sys.platform != "win32":
        if State.is_socket:
            return send(data)
        if State.asks and not has_room():
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return os.write(FD, data)


def send(data: bytes) -> int:
    """The same where it is a socket, which cannot be opened anew: each call says that it does not wait."""
    if sys.platform == "win32":
        raise NotImplementedError
    borrowed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=FD)
    try:
        return borrowed.send(data, socket.MSG_DONTWAIT)
    finally:
        borrowed.detach()


def has_room() -> bool:
    """True where a line can be written to standard error now, as far as can be told."""
    if sys.platform == "win32":
        return True
    try:
        return bool(select.select([], [FD], [], 0)[1])
    except (OSError, ValueError):
        return True


def is_read(fd: int) -> bool:
    """False where *fd* is a pipe whose reader is gone, as far as that can be told without a write."""
    if sys.platform == "win32":
        return True
    poll = select.poll()
    poll.register(fd, 0)
    return not any(what & (select.POLLERR | select.POLLHUP) for _, what in poll.poll(0))
