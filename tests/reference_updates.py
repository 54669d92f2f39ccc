"""Plain NumPy twins of the optimisers' kernels: same names, same arguments, published formulas."""

from __future__ import annotations

import numpy as np

from fastnn.kernels.hooks.updates import EPS, LR, ON_MEAN, ON_SLOPE, ROOT


def twin(formula):
    """The kernel whose step `formula` gives from slopes, the block of each state, constants and rates."""

    def update(w, g, m, v, u, constants, rates, terms, i0, i1, o0, o1):
        s = slice(i0, i1), slice(o0, o1)
        old = w[s]
        slope = np.clip(terms.scale * g[s], -terms.limit, terms.limit) + terms.l2 * old
        slope = slope + terms.l1 * np.sign(old)
        step = formula(slope, m[s], v[s], u[s], constants, rates)
        new = old - terms.rate * rates[LR] * terms.decay * old - terms.rate * step
        w[s] = np.where(np.isfinite(new), new, old)

    return update


@twin
def sgd(slope, m, v, u, constants, rates):
    return rates[LR] * slope


@twin
def momentum(slope, m, v, u, constants, rates):
    keep, nesterov = constants
    m[:] = keep * m + slope
    return rates[LR] * (slope + keep * m if nesterov else m)


@twin
def rmsprop(slope, v, m, u, constants, rates):
    alpha, _, eps, _ = constants
    v[:] = alpha * v + (1 - alpha) * slope**2
    return rates[LR] * slope / (np.sqrt(v) + eps)


@twin
def rmsprop_momentum(slope, v, m, u, constants, rates):
    alpha, _, eps, keep = constants
    v[:] = alpha * v + (1 - alpha) * slope**2
    m[:] = keep * m + slope / (np.sqrt(v) + eps)
    return rates[LR] * m


@twin
def rmsprop_centered(slope, v, m, u, constants, rates):
    alpha, _, eps, keep = constants
    v[:] = alpha * v + (1 - alpha) * slope**2
    u[:] = alpha * u + (1 - alpha) * slope
    m[:] = keep * m + slope / (np.sqrt(v - u**2) + eps)
    return rates[LR] * m


@twin
def adagrad(slope, v, m, u, constants, rates):
    (eps,) = constants
    v[:] = v + slope**2
    return rates[LR] * slope / (np.sqrt(v) + eps)


@twin
def adadelta(slope, v, u, m, constants, rates):
    rho, _, eps = constants
    v[:] = rho * v + (1 - rho) * slope**2
    d = np.sqrt(u + eps) / np.sqrt(v + eps) * slope
    u[:] = rho * u + (1 - rho) * d**2
    return rates[LR] * d


def two_means(slope, m, v, constants):
    beta1, _, beta2, _ = constants
    m[:] = beta1 * m + (1 - beta1) * slope
    v[:] = beta2 * v + (1 - beta2) * slope**2


@twin
def adam(slope, m, v, u, constants, rates):
    two_means(slope, m, v, constants)
    return rates[ON_MEAN] * m / (rates[ROOT] * np.sqrt(v) + rates[EPS])


@twin
def amsgrad(slope, m, v, u, constants, rates):
    two_means(slope, m, v, constants)
    u[:] = np.maximum(u, v)
    return rates[ON_MEAN] * m / (rates[ROOT] * np.sqrt(u) + rates[EPS])


@twin
def nadam(slope, m, v, u, constants, rates):
    two_means(slope, m, v, constants)
    direction = rates[ON_MEAN] * m + rates[ON_SLOPE] * slope
    return direction / (rates[ROOT] * np.sqrt(v) + rates[EPS])


@twin
def lion(slope, m, v, u, constants, rates):
    beta1, _, beta2, _ = constants
    direction = np.sign(beta1 * m + (1 - beta1) * slope)
    m[:] = beta2 * m + (1 - beta2) * slope
    return rates[LR] * direction
