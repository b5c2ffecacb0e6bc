"""queuectl_lib/contexts does what contextlib does, whatever happens in the block and in the generator."""

import contextlib

import pytest

from queuectl_lib import contexts


class Odd(Exception):
    pass


STOP = StopIteration("one of the block's own")


def passes(log):
    log.append("in")
    yield "value"
    log.append("out")


def cleans_up(log):
    try:
        yield "value"
    finally:
        log.append("cleaned")


def swallows(log):
    try:
        yield "value"
    except (Odd, StopIteration) as error:
        log.append(repr(error))


def turns(log):
    try:
        yield "value"
    except Odd as error:
        raise KeyError("turned") from error


def raises_anew(log):
    try:
        yield "value"
    except Odd as error:
        raise error


def never_yields(log):
    return
    yield


def yields_twice(log):
    yield "value"
    yield "again"


def goes_on_after_an_error(log):
    with contextlib.suppress(Odd):
        yield "value"
    yield "again"


def raises_a_stop(log):
    yield "value"
    raise STOP


def seen(manager, generator, raised):
    """What a block that raises *raised* sees and leaves under *manager*."""
    log = []
    try:
        with manager(generator)(log) as value:
            log.append(value)
            if raised is not None:
                raise raised
    except BaseException as error:
        cause = getattr(error, "__cause__", None)
        return log, type(error), error is raised, type(cause)
    return log, None, None, None


GENERATORS = [
    *(passes, cleans_up, swallows, turns, raises_anew),
    *(never_yields, yields_twice, goes_on_after_an_error, raises_a_stop),
]


@pytest.mark.parametrize("raised", [None, Odd("x"), KeyboardInterrupt(), STOP, RuntimeError("y")], ids=repr)
@pytest.mark.parametrize("generator", GENERATORS, ids=lambda generator: generator.__name__)
def test_a_block_ends_as_with_contextlib(generator, raised):
    expected = seen(contextlib.contextmanager, generator, raised)
    assert seen(contexts.contextmanager, generator, raised) == expected


@pytest.mark.parametrize("raised", [None, Odd("x"), KeyError("k"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("named", [(), (Odd,), (LookupError, Odd), (BaseException,)], ids=repr)
def test_what_is_suppressed_is_the_same(named, raised):
    def left(suppress):
        try:
            with suppress(*named):
                if raised is not None:
                    raise raised
        except BaseException as error:
            return error
        return None

    assert left(contexts.suppress) is left(contextlib.suppress)


def test_a_trace_does_not_tell_of_the_manager():
    """As with contextlib: the lines of an error are those of the block, not of the generator's last step too."""
    error = Odd("x")
    with pytest.raises(Odd) as found, contexts.contextmanager(cleans_up)([]):
        raise error
    assert [entry.path.name for entry in found.traceback] == ["test_contexts.py"]


def test_a_managed_function_keeps_its_docstring():
    def documented():
        """What it does."""
        yield

    assert contexts.contextmanager(documented).__doc__ == "What it does."
