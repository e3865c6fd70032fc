"""Whether operations record history: ``no_grad``, ``enable_grad``, ``set_grad_enabled``.

Each is a context manager and a decorator, and holds for the thread it is used in.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar

from .._core import _set_grad_enabled, is_grad_enabled

__all__ = ["enable_grad", "no_grad", "set_grad_enabled"]

_F = TypeVar("_F", bound=Callable[..., Any])
_IS_GENERATOR = 0x20  # inspect.CO_GENERATOR; importing inspect costs more than this package


class _GradMode:
    """A context manager that sets the mode on entry and puts the former one back; a decorator that does so in calls."""

    __slots__ = ("_former", "_mode")

    def __init__(self, mode: bool) -> None:
        self._mode = mode
        self._former = True

    def __enter__(self) -> None:
        self._former = is_grad_enabled()
        _set_grad_enabled(self._mode)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _set_grad_enabled(self._former)

    def _decorate(self, function: Any) -> Any:
        if isinstance(function, type):
            raise TypeError(f"{type(self).__name__}: classes cannot be decorated: decorate the methods of {function!r}")
        if not callable(function):
            raise TypeError(f"{type(self).__name__}: expected a function, not {type(function).__name__}")
        mode = self._mode
        code = getattr(function, "__code__", None)
        if code is not None and code.co_flags & _IS_GENERATOR:
            return _decorate_generator(function, mode)

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with _GradMode(mode):
                return function(*args, **kwargs)

        return call


def _decorate_generator(function: Any, mode: bool) -> Any:
    """The mode holds while the generator's body runs, and not in the code between its values."""

    @wraps(function)
    def steps(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        resume: Callable[[Any], Any] = generator.send
        value: Any = None
        try:
            while True:
                try:
                    with _GradMode(mode):
                        given = resume(value)
                except StopIteration as end:
                    return end.value
                try:
                    resume, value = generator.send, (yield given)
                except GeneratorExit:
                    raise
                except BaseException:
                    resume, value = generator.throw, sys.exc_info()[1]
        finally:
            with _GradMode(mode):
                generator.close()

    return steps


class _Fixed(_GradMode):
    """A mode that is known by the class, so that the class itself can be a decorator, without parentheses."""

    __slots__ = ()
    _value: bool

    def __new__(cls, function: Any = None) -> Any:
        self = super().__new__(cls)
        if function is None:
            return self
        _GradMode.__init__(self, cls._value)
        return self._decorate(function)

    def __init__(self) -> None:
        super().__init__(self._value)

    def __call__(self, function: _F) -> _F:
        decorated: _F = self._decorate(function)
        return decorated


class no_grad(_Fixed):  # noqa: N801
    """Operations record no history inside, so results do not require a gradient.

    As a decorator it is written with or without parentheses.

    >>> x = tf.ones(2, requires_grad=True)
    >>> with tf.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    __slots__ = ()
    _value = False


class enable_grad(_Fixed):  # noqa: N801
    """Operations record history inside, also within ``no_grad``.

    >>> with tf.no_grad(), tf.enable_grad():
    ...     (tf.ones(2, requires_grad=True) * 2).requires_grad
    True
    """

    __slots__ = ()
    _value = True


class set_grad_enabled(_GradMode):  # noqa: N801
    """Sets the mode at once; as a context manager or a decorator, for the block or the call only.

    >>> with tf.set_grad_enabled(False):
    ...     tf.is_grad_enabled()
    False
    """

    __slots__ = ()

    def __init__(self, mode: bool) -> None:
        super().__init__(bool(mode))
        self._former = is_grad_enabled()
        _set_grad_enabled(self._mode)

    def __enter__(self) -> None:
        # The former mode was noted when this was made; a second entry is of a mode already left.
        _set_grad_enabled(self._mode)

    def __call__(self, function: _F) -> _F:
        _set_grad_enabled(self._former)
        decorated: _F = self._decorate(function)
        return decorated
