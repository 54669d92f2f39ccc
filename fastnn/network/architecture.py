"""The architecture of a network: checked once, then frozen.

It knows the sizes, the activations and what each layer does besides its matrix product, and converts them
to a layout, to JSON and to text. It holds no parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from .. import _checks
from .._fields import Count, Dtype, Size, read_fields
from .._memory import check_memory
from ..activations import Activation, as_activation
from ..kernels.activations import IDENTITY, OUTPUTS
from ..kernels.hooks.rows import NORMS
from .initial import INITIALIZATIONS
from .layout import LayerSpec, Layout

_MOST_LAYERS = 10_000
_MOST_EMBEDDINGS = 10_000  # of columns
_FIELDS = {
    "sizes": list[Size],
    "activation": list[tuple[str, float | None]],
    "output": str | None,
    "init": str | None,
    "dropout": list[float],
    "input_dropout": float,
    "norm": list[str | None],
    "residual": list[bool],
    "embeddings": list[tuple[Count, Size, Size]],
    "dtype": Dtype,
}


@dataclass(frozen=True)
class Architecture:
    """Everything that fixes the shapes of a network and what its layers compute.

    Attributes
    ----------
    sizes : tuple of int
        Width of every layer, from the number of features to the number of outputs.
    activations : tuple of Activation
        One per hidden layer, like the entries of `dropout`, `norm` and `residual`.
    output : str or None
        Activation of the output layer; None until a loss chooses it.
    init : str, tuple of ndarray or None
        Scheme that draws the weights, or the weights themselves; None for the activation's own scheme.
    dropout : tuple of float
    input_dropout : float
    norm : tuple of str or None
    residual : tuple of bool
    embeddings : dict of int to (int, int)
        Number of categories and width of their vectors, by column.
    dtype : numpy.dtype
    """

    sizes: tuple[int, ...]
    activations: tuple[Activation, ...]
    output: str | None
    init: str | tuple[np.ndarray, ...] | None = field(compare=False)
    dropout: tuple[float, ...]
    input_dropout: float
    norm: tuple[str | None, ...]
    residual: tuple[bool, ...]
    embeddings: dict[int, tuple[int, int]]
    dtype: np.dtype[Any]

    @classmethod
    def check(
        cls,
        sizes: Sequence[int],
        activation: str | Activation | Sequence[str | Activation],
        *,
        output: str | None,
        init: Any,
        dropout: float | Sequence[float],
        input_dropout: float,
        norm: str | Sequence[str | None] | None,
        residual: bool | Sequence[bool],
        embeddings: Mapping[int, tuple[int, int]] | None,
        dtype: Any,
    ) -> Architecture:
        """Check the arguments of :class:`fastnn.MLP` and return the architecture they describe."""
        given = _checks.check_items("sizes", sizes, "integers")
        sizes = tuple(_checks.check_count(f"sizes[{i}]", n) for i, n in enumerate(given))
        if len(sizes) < 2:
            raise ValueError(
                f"sizes must name at least inputs and outputs, got {_checks.shown(list(sizes))}."
            )
        if len(sizes) > _MOST_LAYERS + 1:
            raise ValueError(f"sizes names {len(sizes) - 1:,} layers, expected at most {_MOST_LAYERS:,}.")
        n_hidden = len(sizes) - 2
        dtype = _checks.check_dtype(dtype)
        embeddings = _check_embeddings({} if embeddings is None else embeddings, sizes[0], dtype)
        widths = _widths(sizes, embeddings)
        n_weights = sum((n_in + 1) * n_out for n_in, n_out in pairwise(widths))
        n_weights += sum(n_categories * width for n_categories, width in embeddings.values())
        check_memory(f"MLP({_checks.shown(list(sizes))})", n_weights * dtype.itemsize, "its weights")
        return cls(
            sizes=sizes,
            activations=tuple(map(as_activation, _per_layer("activation", activation, n_hidden))),
            output=None if output is None else _checks.check_name("output", output, OUTPUTS),
            init=_check_init(init, widths, dtype),
            dropout=tuple(
                _checks.check_number("dropout", p, 0.0, 1.0) for p in _per_layer("dropout", dropout, n_hidden)
            ),
            input_dropout=_checks.check_number("input_dropout", input_dropout, 0.0, 1.0),
            norm=tuple(
                None if kind is None else _checks.check_name("norm", kind, NORMS)
                for kind in _per_layer("norm", norm, n_hidden)
            ),
            residual=_check_residual(residual, widths),
            embeddings=embeddings,
            dtype=dtype,
        )

    @property
    def n_hidden(self) -> int:
        """Number of hidden layers."""
        return len(self.sizes) - 2

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the layers; each embedded column counts as the width of its vectors."""
        return _widths(self.sizes, self.embeddings)

    @property
    def n_classes(self) -> int:
        """Number of classes that the outputs tell apart; a single output stands for two."""
        return max(2, self.sizes[-1])

    def init_of(self, depth: int) -> str | np.ndarray:
        """Return the scheme that draws the weights of a layer, or the weights that were given."""
        if isinstance(self.init, str):
            return self.init
        if self.init is not None:
            return self.init[depth]
        if depth < self.n_hidden:
            return self.activations[depth].init
        return "he_normal" if self.output == "relu" else "glorot_uniform"

    def layer_spec(self, depth: int) -> LayerSpec:
        """Return what a hidden layer does besides its matrix product, in the kernels' codes."""
        activation, norm = self.activations[depth], NORMS.get(self.norm[depth] or "", 0)
        adds_above = depth + 1 < self.n_hidden and self.residual[depth + 1]
        hooked = bool(
            activation.code is None or norm or self.residual[depth] or self.dropout[depth] > 0 or adds_above
        )
        return LayerSpec(
            activation=IDENTITY if hooked or activation.code is None else activation.code,
            norm=norm,
            prelu=activation.name == "prelu" and not activation.is_own,
            residual=self.residual[depth],
            dropout=self.dropout[depth],
            alpha=activation.alpha or 0.0,
            hooked=hooked,
        )

    def make_layout(self, *, to_inputs: bool = False) -> Layout:
        """Lay out the parameters and the buffers of a batch without allocating them.

        If `to_inputs`, with a delta of the first layer's inputs, which networks that embed have in any case;
        the parameters have the same places.
        """
        specs = [self.layer_spec(depth) for depth in range(self.n_hidden)] + [LayerSpec()]
        embeddings = [(column, *pair) for column, pair in self.embeddings.items()]
        if to_inputs and not embeddings:
            embeddings = [(0, 0, 0)]  # no categories, and no vectors: nothing but the delta
        return Layout(self.widths, specs, self.dtype, embeddings, self.input_dropout)

    def feature_columns(self) -> np.ndarray:
        """Return the index of each feature among the first layer's inputs: -1 if embedded, empty if none is.

        Numeric features keep their order, and the vectors of the embeddings follow.
        """
        if not self.embeddings:
            return np.empty(0, np.int64)
        numeric = [column not in self.embeddings for column in range(self.sizes[0])]
        return np.where(numeric, np.cumsum(numeric) - 1, -1)

    def to_json(self) -> dict[str, Any]:
        """Return the architecture in a form that JSON can hold.

        Raises
        ------
        ValueError
            If an activation is the user's own function: a file without code cannot hold it.
        """
        for activation in self.activations:
            if activation.is_own:
                raise ValueError(
                    f"activation {activation.name!r} is a function of your own, which a file without code "
                    "cannot hold: pickle the network instead."
                )
        return {
            "sizes": self.sizes,
            "activation": [(activation.name, activation.alpha) for activation in self.activations],
            "output": self.output,
            "init": self.init if isinstance(self.init, str) else None,
            "dropout": self.dropout,
            "input_dropout": self.input_dropout,
            "norm": self.norm,
            "residual": self.residual,
            "embeddings": [(column, *pair) for column, pair in self.embeddings.items()],
            "dtype": self.dtype.name,
        }

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Architecture:
        """Return the architecture that :meth:`to_json` wrote.

        Raises
        ------
        ValueError
            If the state does not have that form: a file may come from a stranger.
        """
        state = read_fields(state, _FIELDS, "architecture")
        activations = [Activation(name, alpha=alpha) for name, alpha in state["activation"]]
        embeddings = {column: (n, width) for column, n, width in state["embeddings"]}
        if len(embeddings) < len(state["embeddings"]):
            raise ValueError("architecture.embeddings names a column twice.")
        return cls.check(**state | {"activation": activations, "embeddings": embeddings})

    def __repr__(self) -> str:
        options = {
            "output": self.output,
            "dropout": self.dropout if any(self.dropout) else None,
            "input_dropout": self.input_dropout or None,
            "norm": self.norm if any(self.norm) else None,
            "residual": self.residual if any(self.residual) else None,
            "embeddings": self.embeddings or None,
        }
        given = "".join(f", {name}={value!r}" for name, value in options.items() if value is not None)
        names = [a.name if a.is_own or a == as_activation(a.name) else a for a in self.activations]
        return f"MLP({list(self.sizes)}, activation={names}{given}, dtype={self.dtype.name!r})"


def _widths(sizes: Sequence[int], embeddings: Mapping[int, tuple[int, int]]) -> tuple[int, ...]:
    more = sum(width - 1 for _, width in embeddings.values())
    return (sizes[0] + more, *sizes[1:])


def _per_layer(name: str, value: Any, n_hidden: int) -> list[Any]:
    """Repeat a single value for all hidden layers; check that a sequence has one entry per hidden layer."""
    if not _checks.is_collection(value):
        return [value] * n_hidden
    values = list(value)
    if len(values) != n_hidden:
        raise ValueError(f"{name} has {len(values)} entries, but the network has {n_hidden} hidden layers.")
    return values


def _check_embeddings(embeddings: Any, n_in: int, dtype: np.dtype[Any]) -> dict[int, tuple[int, int]]:
    if not isinstance(embeddings, Mapping):
        raise TypeError(
            f"embeddings must be a dict {{column: (n_categories, width)}}, got {_checks.shown(embeddings)}."
        )
    if len(embeddings) > _MOST_EMBEDDINGS:
        raise ValueError(
            f"embeddings has {len(embeddings):,} columns, expected at most {_MOST_EMBEDDINGS:,}."
        )
    checked = {}
    most = 2 ** (np.finfo(dtype).nmant + 1)
    for column, pair in embeddings.items():
        name = f"embeddings[{_checks.shown(column)}]"
        if _checks.check_count("a column of embeddings", column, 0) >= n_in:
            raise ValueError(f"embeddings has column {column}, but x has {n_in} features.")
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"{name} must be a pair (n_categories, width), got {_checks.shown(pair)}.")
        checked[int(column)] = (_checks.check_count(name, pair[0]), _checks.check_count(name, pair[1]))
        if pair[0] > most:  # two categories would round to one number
            raise ValueError(f"{name} has {pair[0]} categories, but {dtype} can represent at most {most}.")
    return dict(sorted(checked.items()))


def _check_residual(residual: Any, widths: Sequence[int]) -> tuple[bool, ...]:
    given = _per_layer("residual", residual, len(widths) - 2)
    flags = [_checks.check_flag("residual", flag) for flag in given]
    equal = [n_in == n_out for n_in, n_out in pairwise(widths[:-1])]
    if not isinstance(residual, Iterable):
        return tuple(flag and same for flag, same in zip(flags, [False, *equal[1:]], strict=False))
    for k, (flag, same) in enumerate(zip(flags, equal, strict=True)):
        if flag and not same:
            raise ValueError(
                f"residual[{k}] is True, but hidden layer {k} has {widths[k]} inputs and {widths[k + 1]} "
                "outputs: they must be equal."
            )
    return tuple(flags)


def _check_init(
    init: Any, widths: Sequence[int], dtype: np.dtype[Any]
) -> str | tuple[np.ndarray, ...] | None:
    if init is None or isinstance(init, str):
        return None if init is None else _checks.check_name("init", init, INITIALIZATIONS)
    if not isinstance(init, Iterable):
        raise TypeError(f"init must be a name or a sequence of arrays, got {_checks.shown(init)}.")
    arrays = tuple(_checks.as_finite(f"init[{i}]", w, dtype) for i, w in enumerate(init))
    shapes = list(pairwise(widths))
    if [w.shape for w in arrays] != shapes:
        raise ValueError(
            f"init has arrays of shapes {[w.shape for w in arrays]}, but the layers have {shapes}."
        )
    return arrays
