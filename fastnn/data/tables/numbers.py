"""Columns of numbers: parsing their text, and scaling that outliers do not disturb."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .values import distinct_values, is_numeric
from .written import PLAIN, NumberForm, parse_numbers

_FAR = 1e9  # smooth_clip has reached its limit by then, and squares are finite


def read_numbers(series: Any, form: NumberForm = PLAIN) -> tuple[np.ndarray, np.ndarray]:
    """Read a column as numbers; durations are seconds.

    Parameters
    ----------
    series : pandas.Series
    form : NumberForm
        The form in which text is written.

    Returns
    -------
    values : ndarray of shape (n,), float64
        NaN where missing or infinite.
    unread : ndarray of shape (n,), bool
        Mask of the rows whose text is not a number.
    """
    import pandas

    unread = np.zeros(len(series), bool)
    if pandas.api.types.is_timedelta64_dtype(series.dtype):
        values = series.dt.total_seconds().to_numpy(np.float64)
    elif is_numeric(series):
        values = series.to_numpy(np.float64, na_value=np.nan)
    else:
        codes, distinct = distinct_values(series)
        numbers, readable = parse_numbers(distinct, form)
        values, unread = np.append(numbers, np.nan)[codes], np.append(~readable, False)[codes]
    return np.where(np.isfinite(values), values, np.nan), unread


def smooth_clip(z: np.ndarray) -> np.ndarray:
    """Clip smoothly to [-3, 3]: z / sqrt(1 + (z / 3)**2) (Holzmueller et al., 2024, RealMLP).

    Examples
    --------
    >>> smooth_clip(np.array([0.1, 4.0, -1e9])).round(3)
    array([ 0.1,  2.4, -3. ])
    """
    z = np.clip(z, -_FAR, _FAR)
    return z / np.sqrt(1 + (z / 3) ** 2)


def center_and_scale(values: np.ndarray) -> tuple[float, float]:
    """Return the median and the interquartile range; where that is 0, the standard deviation, or 1.

    Examples
    --------
    >>> center_and_scale(np.array([1.0, 2.0, 3.0, 4.0, 1000.0]))
    (3.0, 2.0)
    """
    with np.errstate(all="ignore"):
        low, center, high = (float(q) for q in np.percentile(values, [25, 50, 75]))
        if not math.isfinite(center):  # the mean of two of the largest numbers overflows
            center = float(np.sort(values)[len(values) // 2])
        for scale in (high - low, float(values.std())):
            if 0 < scale < math.inf and 1 / scale < math.inf:
                return center, scale
    return center, 1.0
