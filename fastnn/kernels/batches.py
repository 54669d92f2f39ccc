"""Rows of the data set into the workspace: the only copy of data a training step makes."""

from __future__ import annotations

import numpy as np

from .._jit import jit, span


@jit
def gather(a, y, data, first, n_in, r0, r1):
    """Copy rows of the data into the batch: ``a[r, :n_in] = x[row]``, where row = indices[first + r].

    a : (rows, > n_in) (out): the network's input, with the unit that the bias multiplies in column n_in
    y : (rows, n_targets) (out): target values, or labels as numbers
    data : Data; where it has no indices, row = first + r
    Rows r0 to r1; they are independent.
    """
    for r in span(r0, r1):
        place = first + np.int64(r)
        row = np.uint64(data.indices[place] if data.indices.size > 0 else place)
        for i in span(0, n_in):
            a[r, i] = data.x[row, i]
        a[r, n_in] = 1
        for j in span(0, data.labels.shape[1]):
            y[r, j] = data.labels[row, j]
        for j in span(0, data.targets.shape[1]):
            y[r, j] = data.targets[row, j]
