"""Base of activations and losses: a name that fastnn knows, or a function of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from . import _checks
from ._fork import cached_property


class NamedFunction:
    """A function by name or the user's own, with its options, and the kernel that computes it.

    Two are equal if they compute the same. Pickles hold no compiled code.
    """

    _role: ClassVar[str]  # in messages, and in the name of its function in kernels/hooks/custom.py

    def __init__(
        self,
        function: str | Callable[..., float],
        derivative: Callable[..., float] | None,
        options: Mapping[str, Any],
        names: Iterable[str],
        aliases: Mapping[str, str],
    ) -> None:
        self._function, self._derivative, self._options = function, derivative, options
        self.is_own = not isinstance(function, str)
        if isinstance(function, str):
            if derivative is not None:
                raise ValueError(f"derivative is for functions of your own, but {function!r} has its own.")
            self.name = _checks.check_name(self._role, aliases.get(function, function), names)
        elif callable(function):
            self.name = _checks.function_name(function)
            self.kernel  # noqa: B018 - compiled here, where its errors belong
        else:
            kind = type(self).__name__
            raise TypeError(
                f"{self._role} must be a name, a function or fastnn.{kind}, got {_checks.shown(function)}."
            )

    @cached_property
    def kernel(self) -> Callable[..., None] | None:
        """Compiled function of :mod:`fastnn.kernels.hooks`; None where the core has its own."""
        if self.is_own:
            from .kernels.hooks import custom

            make_kernel = getattr(custom, f"{self._role}_kernel")
            return make_kernel(self._function, self._derivative)
        return self._named_kernel()

    def _named_kernel(self) -> Callable[..., None] | None:
        raise NotImplementedError

    def _settings(self) -> tuple[Any, ...]:
        """Return the numbers in which two of the same name may differ."""
        raise NotImplementedError

    def _key(self) -> tuple[Any, ...]:
        return self._function if self.is_own else self.name, self._derivative, *self._settings()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "kernel"}

    def __repr__(self) -> str:
        parts = [self.name if self.is_own else repr(self.name)]
        if self._derivative is not None:
            parts.append(_checks.function_name(self._derivative))
        parts += [f"{name}={value!r}" for name, value in self._options.items()]
        return f"{type(self).__name__}({', '.join(parts)})"
