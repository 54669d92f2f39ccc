"""Compare two checkouts of fastnn to the bit, on this machine.

    git worktree add ../before HEAD~1
    python scripts/compare_checkouts.py ../before .

Each checkout trains every case of its ``tests/problems.py`` through its Trainer, and its estimators on the
data sets that come with scikit-learn, in its own process. Parameters, history (seconds left out),
predictions and scores are compared. Bits differ between CPUs, so they are compared, not stored. The exit code
is 1 if anything differs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

_SECONDS = ("seconds", "samples_per_second")


def digest_of(*arrays) -> str:
    """Return a digest of arrays: of their types, their shapes and every bit."""
    import hashlib

    import numpy as np

    digest = hashlib.sha256()
    for array in map(np.ascontiguousarray, arrays):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def figures_of(history) -> str:
    """Return the figures of every epoch, without the seconds."""
    epochs = [{k: v for k, v in epoch._asdict().items() if k not in _SECONDS} for epoch in history.epochs]
    return json.dumps(epochs, default=float, sort_keys=True)


def train_case(case, dtype: str, n_threads: int | None, options: dict) -> dict[str, str]:
    """Train one of the cases of ``tests/problems.py``."""
    import numpy as np
    import problems

    import fastnn
    from fastnn.losses import as_loss

    rng = np.random.default_rng(5)
    net = fastnn.MLP(case.sizes, case.activation, output=case.output, **case.net, dtype=dtype, seed=1)
    loss, training = as_loss(case.loss), dict(case.training)
    x = rng.standard_normal((n_rows := 230, case.sizes[0])).astype(dtype)
    x[rng.random(x.shape) < 0.3] = 0
    problems.draw_categories(x, net, rng)
    y = problems.make_targets(loss, case.sizes[-1], n_rows, rng)
    if case.sizes[-1] == 1 or loss.kind == "class":
        y = np.ravel(y)
    given = {}
    if training.get("weighted"):
        given["sample_weight"] = rng.integers(1, 4, n_rows) / 2
    if training.get("sparse") and not net.embeddings:
        from scipy import sparse

        x = sparse.csr_array(x)
    settings = {
        "loss": loss,
        "optimizer": problems.OPTIMIZERS[training.get("optimizer", "adam")],
        "batch_size": 37,
        "l1": training.get("l1", 0.0),
        "l2": 0.1,
        "clip_norm": training.get("clip_norm"),
        "max_norm": training.get("max_norm"),
        "accumulate": training.get("every", 1),
        "average": fastnn.EMA(training["keep"]) if "keep" in training else None,
        "seed": 7,
        "n_threads": n_threads,
    }
    trainer = fastnn.Trainer(net, **settings | options.get("trainer", {}))
    fit = {"epochs": 4, "verbose": 0, "record_norms": True} | options.get("fit", {})
    trainer.fit(x, y, validation_fraction=0.2, **given, **fit)
    trainer.fit(x, y, epochs=1, verbose=0, **given)
    values = net.parameters().values()
    return {
        "parameters": digest_of(*values),
        "history": figures_of(trainer.history),
        "predictions": digest_of(net.predict_raw(x), net.predict(x)),
        "evaluation": json.dumps(trainer.evaluate(x, y)),
        "losses": digest_of(trainer.losses(x, y)),
    }


def train_estimators() -> dict[str, dict[str, str]]:
    """Fit the estimators on the data sets that scikit-learn brings."""
    import warnings

    import numpy as np
    from sklearn import datasets

    import fastnn

    warnings.simplefilter("ignore")
    results = {}
    ways = {
        "default": {},
        "sgd": {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.01},
        "lbfgs": {"solver": "lbfgs"},
        "stopping": {"early_stopping": True, "n_iter_no_change": 3},
    }
    for name in ("digits", "iris", "wine", "breast_cancer", "diabetes", "linnerud"):
        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)
        kind = fastnn.MLPRegressor if name in ("diabetes", "linnerud") else fastnn.MLPClassifier
        for way, options in ways.items():
            if kind is fastnn.MLPRegressor:
                y = (y - y.mean(axis=0)) / y.std(axis=0)
            model = kind(hidden_layer_sizes=(32, 16), random_state=0, max_iter=8, **options).fit(x, y)
            results[f"{name}, {way}"] = {
                "parameters": digest_of(*model.coefs_, *model.intercepts_),
                "history": json.dumps(
                    [model.loss_, model.n_iter_, *map(float, getattr(model, "loss_curve_", ()))]
                ),
                "predictions": digest_of(np.asarray(model.predict(x))),
            }
    return results


def run_all(cases_only: bool) -> dict[str, dict[str, str]]:
    """Compute all results with the checkout that this process imports."""
    import problems

    import fastnn

    results = {}
    for name, case in problems.CASES.items():
        for dtype in ("float32", "float64"):
            results[f"{name}, {dtype}"] = train_case(case, dtype, 1, {})
        results[f"{name}, two threads"] = train_case(case, "float32", 2, {})
    plain = problems.CASES["whole tiles"]
    for name, options in {
        "early stopping": {"fit": {"early_stopping": fastnn.EarlyStopping(patience=2), "epochs": 9}},
        "one cycle, in order": {"trainer": {"schedule": "one_cycle", "shuffle": False}},
        "SWA": {"trainer": {"average": fastnn.SWA(start=2)}},
        "class weights": {"trainer": {"class_weight": "balanced", "clip_value": 0.01}},
        "metrics": {"fit": {"metrics": ["f1_macro"]}},
        "rate factors": {"trainer": {"rate_factors": {0: 0.5, "bias": 2.0}}},
    }.items():
        results[name] = train_case(plain, "float32", 1, options)
    if not cases_only:
        results |= train_estimators()
    return results


def results_of(checkout: Path, cases_only: bool) -> dict[str, dict[str, str]]:
    """Return the results of a checkout, computed in its own process."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "results.json")
        path = os.pathsep.join([str(checkout), str(checkout / "tests")])
        command = [sys.executable, __file__, ".", ".", "--out", str(out)]
        command += ["--cases-only"] if cases_only else []
        subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=True, cwd=checkout)
        return json.loads(out.read_text())


def main(
    before: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    after: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    cases_only: Annotated[bool, typer.Option(help="Leave the estimators out.")] = False,
    out: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Compare two checkouts of fastnn to the bit, on this machine."""
    if out is not None:  # the process of one checkout
        out.write_text(json.dumps(run_all(cases_only)))
        return
    old, new = (results_of(path.resolve(), cases_only) for path in (before, after))
    different = [
        f"{name}: {what}"
        for name in sorted(old | new)
        for what in sorted(old.get(name, {}) | new.get(name, {}))
        if old.get(name, {}).get(what) != new.get(name, {}).get(what)
    ]
    for line in different:
        print("differs:", line)
    print(f"{len(old)} trainings compared, {len(different)} of their results differ.")
    raise typer.Exit(bool(different))


if __name__ == "__main__":
    typer.run(main)
