"""Class weights, where the rare class is the one that matters.

The data are scikit-learn's breast cancer data, with malignant tumours made rare. Without weights the network
misses some of them; with ``class_weight="balanced"`` both classes have the same weight. Early stopping
monitors the average precision of held-out rows, as accuracy would hide the missed tumours.

    python scripts/examples/class_imbalance.py
"""

import numpy as np
import typer
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import average_precision_score, recall_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import fastnn


def main(small: bool = False) -> None:
    """Train with and without weights, over several splits."""
    x, y = load_breast_cancer(return_X_y=True)
    malignant, benign = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
    scores: dict[str, list] = {"no weights": [], "balanced": []}
    for seed in range(2 if small else 10):
        rng = np.random.default_rng(seed)
        rows = np.concatenate([rng.permutation(malignant)[:40], benign])
        x_train, x_test, y_train, y_test = train_test_split(
            x[rows], (y[rows] == 0).astype(int), test_size=0.5, stratify=y[rows], random_state=seed
        )
        scaler = StandardScaler().fit(x_train)
        for name, class_weight in (("no weights", None), ("balanced", "balanced")):
            net = fastnn.MLP([x.shape[1], 32, 1], seed=seed)
            trainer = fastnn.Trainer(
                net, loss="binary_cross_entropy", class_weight=class_weight, l2=1.0, seed=seed
            )
            trainer.fit(
                scaler.transform(x_train),
                y_train,
                epochs=20 if small else 100,
                validation_fraction=0.3,
                metrics=["average_precision"],
                early_stopping=fastnn.EarlyStopping("val_average_precision", patience=20),
                verbose=0,
            )
            p = net.predict_proba(scaler.transform(x_test))[:, -1]
            scores[name].append((recall_score(y_test, p > 0.5), average_precision_score(y_test, p)))
    print(f"{len(rows)} rows, 40 of them malignant; means over {len(scores['balanced'])} splits")
    for name, values in scores.items():
        recall, precision = np.mean(values, axis=0)
        print(f"{name:11}  found {recall:.1%} of the malignant, average precision {precision:.3f}")


if __name__ == "__main__":
    typer.run(main)
