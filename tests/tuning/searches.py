"""A small search that the tests vary, and what two equal searches have in common."""

import numpy as np

from fastnn.tuning import tune


def make_rows(seed, n=160):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 4)).astype(np.float32)
    return x, (x[:, 0] * x[:, 1] + 0.3 * rng.standard_normal(n) > 0).astype(int)


ROWS, HELD_OUT = make_rows(1), make_rows(2)
SPACE = {"width": (4, 32, "log"), "activation": ["relu", "tanh"], "norm": None}


def search(**options):
    given = {"loss": "cross_entropy", "validation_data": HELD_OUT, "n_trials": 8, "epochs": 6, "verbose": 0}
    return tune(*ROWS, **{**given, "space": SPACE, **options})


def facts(result):
    """Return what equal searches have in common: all but the times."""
    return [(t.number, t.score, t.ending, t.epochs, t.best_epoch, t.settings) for t in result.trials]
