"""Features on their way to the kernels: the one place that checks them.

``fit``, ``predict`` and the other methods pass on the user's arrays; the kernels get a :class:`Data` record
whose arrays are contiguous and have the right types. Arrays that already are so are not copied.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from ..kernels.records import Data
from .architecture import Architecture


def is_ready(x: Any, n_in: int, dtype: np.dtype[Any]) -> TypeGuard[np.ndarray]:
    """Return whether the kernels take features as they are: a matrix of the dtype in C order."""
    return (
        type(x) is np.ndarray
        and x.dtype == dtype
        and x.ndim == 2
        and x.shape[1] == n_in
        and x.flags.c_contiguous
    )


def check_features(name: str, x: Any, architecture: Architecture, min_rows: int = 1) -> Any:
    """Check dense or sparse features.

    Parameters
    ----------
    name : str
        Name of x in error messages.
    x : array-like or sparse matrix of shape (n, n_in)
    architecture : Architecture
    min_rows : int, default=1
        0 where predictions of no rows are no rows.

    Returns
    -------
    ndarray of shape (n, n_in), C-contiguous, or CSR matrix
        Finite values of the network's dtype. Embedded columns hold category numbers.

    Raises
    ------
    ValueError, TypeError
        If x is not what the network takes.
    """
    if not _checks.is_sparse(x):
        return check_dense(name, x, architecture, min_rows)
    if architecture.embeddings:
        raise ValueError(f"{name} is sparse, but the network embeds columns: pass {name}.toarray().")
    return _checks.check_sparse(name, x, architecture.sizes[0], architecture.dtype, min_rows)


def check_dense(name: str, x: ArrayLike, architecture: Architecture, min_rows: int = 1) -> np.ndarray:
    """Check features that must be dense; like :func:`check_features` otherwise."""
    checked = _checks.check_x(name, x, architecture.sizes[0], architecture.dtype, min_rows)
    for column, (n_categories, _) in architecture.embeddings.items():
        _checks.check_categories(name, checked[:, column], column, n_categories)
    return checked


def as_data(x: Any) -> Data:
    """Wrap checked features, dense or CSR, for the kernels: without labels, targets, order or weights."""
    is_sparse = _checks.is_sparse(x)
    values = x.data.reshape(1, -1) if is_sparse else x
    starts = x.indptr if is_sparse else np.empty(0, np.int64)
    columns = x.indices if is_sparse else np.empty(0, np.int32)
    return Data(
        x=_checks.writable_view(values),
        labels=np.empty((0, 0), np.int32),
        targets=np.empty((0, 0), values.dtype),
        indices=np.empty(0, np.int64),
        weights=np.empty(0, np.float64),
        starts=_checks.writable_view(starts.astype(np.int64, copy=False)),
        columns=_checks.writable_view(columns.astype(np.int32, copy=False)),
    )
