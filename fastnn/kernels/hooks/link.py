"""Addresses of hooks: for every kind of hook, the types of the arguments that the core calls it with.

A hook is compiled for these types, here and nowhere else; the calls (:func:`..address.call_at`) stand in
rows_phase, weights_phase, predict, step and updates.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba.core import types

from ..address import address_of
from ..records import Data, HookContext, Network, UpdateState, Workspace
from ..updates import UPDATE_SETTINGS, Terms
from . import sparse
from .after import after_update
from .rows import backward_rows_hook, embed_rows_hook, forward_rows_hook, sum_gradient_hook

_INT, _FLOAT, _FLAG = types.intp, types.float64, types.boolean


def _array(dtype: npt.DTypeLike, n_dims: int) -> types.Type:
    return types.Array(numba.from_dtype(np.dtype(dtype)), n_dims, "C")


_FLOATS, _WORDS = _array(np.float64, 1), _array(np.int64, 1)


def _pointer(record: types.Type) -> types.Type:
    """Type of what :func:`..address.pointer_to` gives for a record of a type."""
    return types.CPointer(record)  # type: ignore[attr-defined]


def _record(record: Any, fields: dict[str, types.Type]) -> types.Type:
    """Type of a record whose fields have these types."""
    return types.NamedTuple([fields[name] for name in record._fields], record)  # type: ignore[attr-defined]


def context_type(network: Network, work: Workspace) -> types.Type:
    """Type of a :class:`HookContext` in compiled code."""
    fields = {
        "network": _pointer(numba.typeof(network)),
        "work": _pointer(numba.typeof(work)),
        "part": _INT,
        "n_parts": _INT,
        "team": _WORDS,
        "step": _INT,
        "n_rows": _INT,
        "learns": _FLAG,
    }
    return _record(HookContext, fields)


def data_type(dtype: npt.DTypeLike) -> types.Type:
    """Type of a :class:`Data`."""
    fields = {
        "x": _array(dtype, 2),
        "labels": _array(np.int32, 2),
        "targets": _array(dtype, 2),
        "indices": _WORDS,
        "weights": _FLOATS,
        "starts": _WORDS,
        "columns": _array(np.int32, 1),
    }
    return _record(Data, fields)


def state_type(dtype: npt.DTypeLike) -> types.Type:
    """Type of an :class:`UpdateState`."""
    vector = _array(dtype, 1)
    fields = {
        "settings": _array(UPDATE_SETTINGS, 1),
        "constants": _FLOATS,
        "rates": _array(np.float64, 2),
        "factors": _array(np.float64, 2),
        "m": vector,
        "v": vector,
        "u": vector,
        "grad": _array(dtype, 2),
        "full_grad": vector,
        "average": vector,
        "penalty": _FLOATS,
        "norms": _FLOATS,
    }
    return _record(UpdateState, fields)


def address_of_activation(kernel: Any, dtype: npt.DTypeLike) -> int:
    """Address of an activation: ``(a, slopes, alpha, r0, r1, n_out)``."""
    matrix = _array(dtype, 2)
    return address_of(kernel, (matrix, matrix, _FLOAT, *[_INT] * 3))


def address_of_loss(kernel: Any, dtype: npt.DTypeLike) -> int:
    """Address of a loss.

    Arguments: ``(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1)``.
    """
    matrix = _array(dtype, 2)
    return address_of(
        kernel, (_FLOATS, _FLOATS, matrix, matrix, matrix, _FLOATS, _FLOAT, _FLOAT, *[_INT] * 4)
    )


def address_of_update(kernel: Any, dtype: npt.DTypeLike) -> int:
    """Address of an optimiser: ``(w, g, m, v, u, constants, rates, terms, i0, i1, o0, o1)``."""
    number: Any = np.dtype(dtype).type(0)
    terms = numba.typeof(Terms(*[number] * len(Terms._fields)))
    return address_of(kernel, (*[_array(dtype, 2)] * 5, _FLOATS, _FLOATS, terms, *[_INT] * 4))


def address_of_after(network: Network, work: Workspace, state: UpdateState) -> int:
    """Address of :func:`.after.after_update`: ``(context, state)``."""
    return address_of(after_update, (context_type(network, work), numba.typeof(state)))


def addresses_of_rows(network: Network, work: Workspace, *, embeds: bool, hooked: bool) -> dict[str, int]:
    """Addresses of the hooks of :mod:`.rows` that a network needs, by the names of its fields.

    Parameters
    ----------
    network, work : Network, Workspace
        Of the types that the hooks are for; their sizes do not matter.
    embeds : bool
        Whether the network embeds columns.
    hooked : bool
        Whether it has hooked layers, or drops out inputs.
    """
    dtype, context, addresses = network.params.dtype, context_type(network, work), {}
    matrix = _array(dtype, 2)
    if embeds:
        addresses["embed_hook"] = address_of_embed(network, work)
    if hooked:
        addresses["forward_hook"] = address_of(forward_rows_hook, (context, *[_INT] * 3))
        addresses["backward_hook"] = address_of(backward_rows_hook, (context, *[_INT] * 3))
    if addresses:
        addresses["gradient_hook"] = address_of(sum_gradient_hook, (matrix, context, *[_INT] * 5))
    return addresses


def address_of_embed(network: Network, work: Workspace) -> int:
    """Address of :func:`.rows.embed_rows_hook`."""
    matrix = _array(network.params.dtype, 2)
    return address_of(embed_rows_hook, (context_type(network, work), matrix, _WORDS, *[_INT] * 3))


def addresses_of_sparse(network: Network, work: Workspace) -> dict[str, int]:
    """Addresses of the hooks of :mod:`.sparse`, by the names of the network's fields."""
    dtype, context = network.params.dtype, context_type(network, work)
    data = _pointer(data_type(dtype))
    matrix, state = _array(dtype, 2), state_type(dtype)
    return {
        "sparse_forward": address_of(sparse.sparse_forward, (context, data, *[_INT] * 3)),
        "sparse_sort": address_of(sparse.sparse_sort, (context, data, *[_INT] * 3)),
        "sparse_gradient": address_of(sparse.sparse_gradient, (matrix, context, *[_INT] * 4)),
        "sparse_update": address_of(
            sparse.sparse_update, (context, state, _INT, _FLOAT, _FLOAT, *[_INT] * 4)
        ),
    }
