"""Change the import: fastnn's classifier in place of scikit-learn's, in a pipeline with a grid search.

Both libraries search a grid of widths and penalties with three folds.

    python scripts/examples/scikit_learn_pipeline.py
"""

import time
import warnings

import sklearn.neural_network
import typer
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import fastnn


def main(small: bool = False) -> None:
    """Search the same grid with both."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    x, y = load_digits(return_X_y=True)
    if small:
        x, y = x[:300], y[:300]
    grid = {"mlp__hidden_layer_sizes": [(32,), (64,)], "mlp__alpha": [1e-4, 1e-1]}
    fastnn.MLPClassifier(max_iter=1, random_state=0).fit(x, y).score(x, y)  # compiles, or loads
    for library in (sklearn.neural_network, fastnn):
        mlp = library.MLPClassifier(max_iter=60, random_state=0)
        pipeline = Pipeline([("scaler", StandardScaler()), ("mlp", mlp)])
        search = GridSearchCV(pipeline, grid, cv=3)
        started = time.perf_counter()
        search.fit(x, y)
        seconds = time.perf_counter() - started
        print(
            f"{library.__name__:22}  {search.best_score_:.4f} in {seconds:5.1f} s with {search.best_params_}"
        )


if __name__ == "__main__":
    typer.run(main)
