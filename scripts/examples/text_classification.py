"""Text classification: the library that a docstring belongs to.

The docstrings of NumPy, SciPy, pandas and scikit-learn are read from their sources, without examples and
without the libraries' names, which would give the answer away. Whole files are held out, so that no test text
is from a file that was trained on. Two networks, one on TF-IDF and one that averages learnt word vectors, are
compared with logistic regression.

    python scripts/examples/text_classification.py
"""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import typer
from scipy.sparse import eye_array
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import fastnn
from fastnn.data import Target, TextEncoder, split_rows, take
from fastnn.evaluation import evaluate_predictions

LIBRARIES = ["numpy", "pandas", "scipy", "sklearn"]
NAMES = re.compile(r"\b(numpy|scipy|pandas|sklearn|scikit|learn|np|sp|pd)\b|`\S*`|\w*\.\w+", re.IGNORECASE)


def docstrings(library: str) -> Iterator[tuple[str, str]]:
    """Yield texts of at least 20 words, each with its file."""
    folder = Path(importlib.util.find_spec(library).submodule_search_locations[0])
    for path in sorted(folder.rglob("*.py")):
        if "tests" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                text = NAMES.sub(" ", (ast.get_docstring(node) or "").partition("Examples\n---")[0])
                if len(text.split()) >= 20:
                    yield text, str(path)


def main(small: bool = False) -> None:
    """Read, hold out, train and compare."""
    found = {text: (name, path) for name in LIBRARIES for text, path in docstrings(name)}  # each text once
    texts, (labels, paths) = list(found), map(np.array, zip(*found.values(), strict=True))
    if small:
        some = np.random.default_rng(0).permutation(len(texts))[:1200]
        texts, labels, paths = take(texts, some), labels[some], paths[some]
    target = Target("library").fit(labels)
    split = split_rows(len(texts), test=0.25, validation=0.15, groups=paths, seed=0)
    rows = [take(texts, numbers) for numbers in split[:3]]
    y_train, y_val, y_test = (target.encode(labels[numbers]) for numbers in split[:3])
    print(f"{len(texts):,} texts from {len(set(paths)):,} files, {len(y_test):,} of them to test with")

    def show(name: str, p: np.ndarray) -> None:
        scores = evaluate_predictions(y_test, p.argmax(axis=1), probabilities=p, classes=range(4))
        accuracy, loss = scores["accuracy"], scores["log_loss"]["value"]
        interval = f"({accuracy['low']:.1%} to {accuracy['high']:.1%})"
        print(f"{name:32} accuracy {accuracy['value']:.1%} {interval}, log loss {loss:.3f}")

    def train(net: fastnn.MLP, x, x_val) -> None:
        trainer = fastnn.Trainer(net, loss="cross_entropy", optimizer=fastnn.Adam(3e-3), lazy=True, seed=0)
        stop = fastnn.EarlyStopping(patience=5)
        trainer.fit(x, y_train, 100, validation_data=(x_val, y_val), early_stopping=stop, verbose=0)

    show("the shares of all", np.tile(np.bincount(y_train) / len(y_train), (len(y_test), 1)))
    x, x_val, x_test = map(TextEncoder("tfidf").fit(rows[0]).transform, rows)
    linear = [LogisticRegression(C=c, max_iter=1000).fit(x, y_train) for c in (1, 10, 100)]
    best = min(linear, key=lambda model: log_loss(y_val, model.predict_proba(x_val)))
    show("logistic regression, TF-IDF", best.predict_proba(x_test))
    net = fastnn.MLP([x.shape[1], 64, 4], dropout=0.5, seed=0)
    train(net, x, x_val)
    show("fastnn, TF-IDF", net.predict_proba(x_test))

    # A word's vector is its 32 weights. A row holds the shares of a text's words, so a product averages them.
    encoder = TextEncoder("bag").fit(rows[0])
    x, x_val, x_test = map(encoder.transform, rows)
    net = fastnn.MLP([x.shape[1], 32, 4], "identity", seed=0)
    train(net, x, x_val)
    show("fastnn, averaged word vectors", net.predict_proba(x_test))
    print("words that are most telling by themselves:")
    for name, p in zip(LIBRARIES, net.predict_proba(eye_array(x.shape[1], format="csr")).T, strict=True):
        print(f"  {name:8}", ", ".join(encoder.vocabulary[k] for k in np.argsort(-p)[:7]))


if __name__ == "__main__":
    typer.run(main)
