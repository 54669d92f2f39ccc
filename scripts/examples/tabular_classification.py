"""A typical CSV: numbers with gaps, categories, dates and an identifier.

Which customers will cancel? The table is generated, so the true probabilities are known, which no model can
beat. The program shows how the encoder treats each column without any hints, compares the network with
scikit-learn's gradient boosting and logistic regression on the same features, and loads the saved model to
predict raw rows, one of them with an unknown town.

    python scripts/examples/tabular_classification.py
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import typer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

import fastnn
from fastnn.data import TableEncoder, Target, read_dataset, split_rows, take


def write_customers(path: Path, n: int) -> np.ndarray:
    """Write a CSV of customers, and return their true probabilities to cancel."""
    rng = np.random.default_rng(0)
    age, fee = rng.integers(18, 90, n), rng.lognormal(3, 0.6, n).round(2)
    plan, town = rng.choice(["basic", "plus", "pro"], n, p=[0.6, 0.3, 0.1]), rng.integers(0, 200, n)
    days = rng.integers(0, 2000, n)
    of_plan, of_town = np.array([0.6, 0.0, -1.0]), rng.normal(0, 1, 200)
    z = -1 + of_plan[np.searchsorted(["basic", "plus", "pro"], plan)] + of_town[town]
    z += 1.2 * np.sin(days / 1000) + 0.9 * np.log(fee / 20) * np.where(age < 40, 1.5, -0.5)
    income = rng.lognormal(10, 0.5, n).round(-2)
    hides_it = rng.random(n) < 0.2  # customers who do not state their income are likelier to leave
    p = 1 / (1 + np.exp(-(z + 1.5 * hides_it)))
    table = {
        "customer_id": [f"C{number:06}" for number in rng.permutation(n)],
        "age": np.where(rng.random(n) < 0.05, np.nan, age),
        "income": np.where(hides_it, np.nan, income),
        "fee": fee,
        "plan": plan,
        "town": [f"town {number}" for number in town],
        "since": pd.Timestamp("2026-01-01") - pd.to_timedelta(days, unit="D"),
        "cancelled": np.where(rng.random(n) < p, "yes", "no"),
    }
    pd.DataFrame(table).to_csv(path, index=False)
    return p


def main(small: bool = False) -> None:
    """Read, split, encode, train, compare, save, load and predict."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "customers.csv"
        p_true = write_customers(path, 6_000 if small else 40_000)
        data = read_dataset(path, target="cancelled")
    split = split_rows(data, test=0.25, validation=0.15, seed=0)
    rows = [take(data.rows, numbers) for numbers in (split.train, split.validation, split.test)]
    encoder, target = TableEncoder().fit(rows[0]), Target("cancelled").fit(data.y)
    told = pd.DataFrame(encoder.describe()).drop(columns="note")
    print(told.to_string(index=False, max_colwidth=50), *encoder.notes(), "", sep="\n")

    x_train, x_val, x_test = map(encoder.transform, rows)
    y_train, y_val, y_test = (target.encode(data.y[numbers]) for numbers in split[:3])
    sizes = [x_train.shape[1], 64, 64, 1]
    net = fastnn.MLP(sizes, "silu", dropout=0.2, embeddings=encoder.embeddings, seed=0)
    trainer = fastnn.Trainer(net, loss="binary_cross_entropy", optimizer=fastnn.AdamW(1e-3), seed=0)
    stop = fastnn.EarlyStopping(patience=5)
    trainer.fit(x_train, y_train, 50, validation_data=(x_val, y_val), early_stopping=stop, verbose=0)

    # The others also use the validation rows: boosting for early stopping, the regression for training.
    x_both, y_both = np.vstack([x_train, x_val]), np.concatenate([y_train, y_val])
    boosting = HistGradientBoostingClassifier(
        categorical_features=list(encoder.embeddings),
        early_stopping=True,
        validation_fraction=len(y_val) / len(y_both),
        random_state=0,
    ).fit(x_both, y_both)
    both = pd.concat(rows[:2])
    one_hot = TableEncoder(columns={"town": "one_hot"}).fit(both)
    linear = LogisticRegression(max_iter=1000).fit(one_hot.transform(both), y_both)
    answers = {
        "the truth itself": p_true[split.test],
        "fastnn": net.predict_proba(x_test)[:, -1],
        "gradient boosting": boosting.predict_proba(x_test)[:, 1],
        "logistic regression": linear.predict_proba(one_hot.transform(rows[2]))[:, 1],
        "the share for all": np.full(len(y_test), y_train.mean()),
    }
    print(f"{len(y_test):,} test rows            log loss  ROC AUC")
    for name, p in answers.items():
        print(f"  {name:22} {log_loss(y_test, p):9.4f} {roc_auc_score(y_test, p):8.4f}")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        fastnn.Model(net, encoder, target).save(path)
        model = fastnn.Model.load(path)
    same = np.array_equal(model.predict_proba(rows[2])[:, 1], answers["fastnn"])
    print("\nloaded, it gives the same bits:", same)
    asked = rows[2].head(3).assign(town=["Atlantis", "Atlantis", "town 7"])
    print(model.predict_frame(asked, proba=True).to_string(index=False))
    print(model.encoder.unseen_summary())


if __name__ == "__main__":
    typer.run(main)
