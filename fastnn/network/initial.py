"""Initial values of the parameters."""

from __future__ import annotations

import numpy as np

_SCHEMES = {"glorot": 2.0, "he": 2.0, "lecun": 1.0}
INITIALIZATIONS = (
    *(f"{scheme}_{distribution}" for scheme in _SCHEMES for distribution in ("uniform", "normal")),
    "orthogonal",
    "zeros",
)


def initial_weights(rng: np.random.Generator, method: str, n_in: int, n_out: int) -> np.ndarray:
    """Draw an (n_in, n_out) float64 matrix of weights.

    Glorot and Bengio (2010): variance 2 / (n_in + n_out). He et al. (2015): variance 2 / n_in, for ReLU,
    which passes half of it. LeCun et al. (1998): variance 1 / n_in. Saxe et al. (2014): orthogonal rows
    or columns, whichever are fewer.

    Parameters
    ----------
    rng : numpy.random.Generator
    method : str
        "glorot", "he" or "lecun" with "_uniform" or "_normal"; "orthogonal"; "zeros".
    n_in, n_out : int

    Returns
    -------
    ndarray of shape (n_in, n_out), float64

    Examples
    --------
    >>> initial_weights(np.random.default_rng(0), "he_normal", 3, 2).shape
    (3, 2)
    """
    if method == "zeros":
        return np.zeros((n_in, n_out))
    if method == "orthogonal":
        q, r = np.linalg.qr(rng.standard_normal((max(n_in, n_out), min(n_in, n_out))))
        q *= np.sign(np.diag(r))  # else the distribution is not uniform (Mezzadri, 2007)
        return q if n_in >= n_out else q.T
    scheme, distribution = method.split("_")
    deviation = np.sqrt(_SCHEMES[scheme] / (n_in + n_out if scheme == "glorot" else n_in))
    if distribution == "normal":
        w = rng.standard_normal((n_in, n_out))
        w *= deviation  # in place: a copy would be the largest array of the whole training
        return w
    limit = np.sqrt(3.0) * deviation
    return rng.uniform(-limit, limit, (n_in, n_out))
