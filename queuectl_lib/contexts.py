"""What `with` statements are made of here: contextlib's `suppress` and `contextmanager` alone, to the same effect.

Python loads contextlib at no start. Its eight abstract classes are as much work as a quarter of what an `add` does
beside loading sqlite3, argparse and json; so the rooms that each call loads take these two from here.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import contextmanager as contextmanager
    from contextlib import suppress as suppress
    from typing import Any, Callable, Iterator, Optional, Type
else:

    class suppress:
        """The exceptions named end the block, and nothing else."""

        def __init__(self, *exceptions: Type[BaseException]) -> None:
            self.exceptions = exceptions

        def __enter__(self) -> None:
            return None

        def __exit__(self, kind: Optional[Type[BaseException]], error: object, trace: object) -> bool:
            return kind is not None and issubclass(kind, self.exceptions)

    def contextmanager(function: Callable[..., Iterator[Any]]) -> Callable[..., Managed]:
        """The block of a `with` runs where *function* yields."""

        def manage(*words: Any, **named: Any) -> Managed:
            return Managed(function(*words, **named))

        manage.__doc__ = function.__doc__
        return manage


class Managed:
    """A block that a generator surrounds."""

    def __init__(self, generator: Any) -> None:
        self.generator = generator

    def __enter__(self) -> Any:
        for value in self.generator:
            return value
        raise RuntimeError("the generator has no block")

    def __exit__(self, kind: Optional[Type[BaseException]], error: Any, trace: Any) -> bool:
        if kind is None:
            self._end()
            return False
        try:
            self.generator.throw(error)
        except StopIteration as ended:  # it has dealt with the error; but not where that is of this kind itself
            return ended is not error
        except RuntimeError as raised:  # what becomes of a StopIteration that leaves a generator (PEP 479)
            if raised is not error and not (isinstance(error, StopIteration) and raised.__cause__ is error):
                raise
        except BaseException as raised:
            if raised is not error:
                raise
        else:
            raise RuntimeError("the generator goes on after an error")
        error.__traceback__ = trace
        return False

    def _end(self) -> None:
        for _ in self.generator:
            raise RuntimeError("the generator goes on behind its block")
