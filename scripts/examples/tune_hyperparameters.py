"""A hyperparameter search that can be interrupted at any time.

A search over widths, rates, dropout and more is stored in an SQLite file. It is called for a few trials, and
again for more: it continues with the stored trials, and ends with the same result as an undisturbed search.
Rows that the search has not seen then compare the best settings with the defaults, over several seeds.

    python scripts/examples/tune_hyperparameters.py
"""

import tempfile
from pathlib import Path

import numpy as np
import typer
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from fastnn.tuning import TuneResult, tune


def main(small: bool = False) -> None:
    """Search, continue and compare."""
    x, y = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x / 16, y, test_size=0.5, stratify=y, random_state=0)

    def search(n_trials: int, storage: Path | None = None) -> TuneResult:
        settings = {"n_trials": n_trials, "epochs": 10 if small else 60, "seed": 0, "verbose": 0}
        return tune(x_train, y_train, loss="cross_entropy", storage=storage, **settings)

    n_first, n_all = (2, 5) if small else (10, 40)
    with tempfile.TemporaryDirectory() as temporary:
        storage = Path(temporary) / "search.db"
        first = search(n_first, storage)
        print(f"{n_first} trials, then interrupted: best validation cost {first.score:.4f}")
        found = search(n_all, storage)
    print(f"called again, {n_all} trials in all: best validation cost {found.score:.4f}")
    undisturbed = search(n_all)
    same = [trial.score for trial in found.trials] == [trial.score for trial in undisturbed.trials]
    print("the same trials as undisturbed:", same)
    pruned = sum(trial.ending == "pruned" for trial in found.trials)
    print(f"{pruned} trials without prospects were pruned; trial {found.best.number} is the best:")
    for name, value in found.settings.items():
        default = found.default.settings[name]
        if value != default:
            shown = f"{value:.3g}" if isinstance(value, float) else value
            print(f"  {name:15} {shown!s:10} (default {default})")

    print("rows that the search has not seen, means over seeds:")
    for name, result in (("defaults", search(1)), ("best", found)):
        scores = []
        for seed in range(2 if small else 10):
            net = result.fit(x_train, y_train, seed=seed, verbose=0).net
            p = net.predict_proba(x_test)
            scores.append((np.mean(p.argmax(axis=1) == y_test), log_loss(y_test, p)))
        (accuracy, cost), (wide, _) = np.mean(scores, axis=0), np.std(scores, axis=0)
        print(f"  {name:9} accuracy {accuracy:.2%} ± {wide:.2%}, log loss {cost:.4f}")


if __name__ == "__main__":
    typer.run(main)
