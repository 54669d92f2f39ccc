"""Text that is on every machine: of which library is this docstring?

The docstrings of NumPy, SciPy, pandas and scikit-learn are read from their sources, without their examples and
without the libraries' names, which would give the answer away. Whole files are held out, so that no test text
has a neighbour among those learnt from. Two networks, one on TF-IDF and one that learns a vector for every word
and averages them, stand beside logistic regression.

    python scripts/examples/text_classification.py
"""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import typer
from sklearn.linear_model import LogisticRegression

import fastnn
from fastnn.data import Dataset, Target, TextEncoder, split_rows, take
from fastnn.evaluation import evaluate_predictions

LIBRARIES = ["numpy", "scipy", "pandas", "sklearn"]
NAMES = re.compile(r"\b(numpy|scipy|pandas|sklearn|scikit|learn|np|sp|pd)\b|`\S*`|\w*\.\w+", re.IGNORECASE)


def docstrings(library: str) -> Iterator[tuple[str, str]]:
    """Texts of at least 20 words, each with the file that it is in."""
    folder = Path(importlib.util.find_spec(library).submodule_search_locations[0])
    for path in sorted(folder.rglob("*.py")):
        if "tests" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                text = NAMES.sub(" ", (ast.get_docstring(node) or "").partition("Examples\n---")[0])
                if len(text.split()) >= 20:
                    yield text, str(path)


def main(small: bool = False) -> None:
    """Read, hold out, train, compare."""
    found = {text: (name, path) for name in LIBRARIES for text, path in docstrings(name)}  # each text once
    texts, (labels, paths) = list(found), map(np.array, zip(*found.values(), strict=True))
    if small:
        some = np.random.default_rng(0).permutation(len(texts))[:1200]
        texts, labels, paths = take(texts, some), labels[some], paths[some]
    data = Dataset("docstrings", "text", texts, labels)
    split = split_rows(data, test=0.25, validation=0.15, groups=paths, seed=0)
    target = Target("library").fit(labels)
    rows = [take(texts, numbers) for numbers in (split.train, split.validation, split.test)]
    y_train, y_val, y_test = (target.encode(labels[numbers]) for numbers in split[:3])
    counts = dict(zip(*np.unique(labels, return_counts=True), strict=True))
    print(f"{len(texts):,} texts from {len(set(paths)):,} files:", ", ".join(f"{n} of {k}" for k, n in counts.items()))

    def show(name: str, p: np.ndarray) -> None:
        scores = evaluate_predictions(y_test, p.argmax(axis=1), probabilities=p, classes=range(4))
        accuracy, loss = scores["accuracy"], scores["log_loss"]["value"]
        interval = f"({accuracy['low']:.1%} to {accuracy['high']:.1%})"
        print(f"{name:32} accuracy {accuracy['value']:.1%} {interval}, log loss {loss:.3f}")

    for method in ("tfidf", "bag"):
        encoder = TextEncoder(method).fit(rows[0])
        x_train, x_val, x_test = map(encoder.transform, rows)
        if method == "tfidf":
            print(f"{x_train.shape[1]:,} words; {len(y_test):,} texts to test with")
            show("the shares for all", np.tile(np.bincount(y_train) / len(y_train), (len(y_test), 1)))
            linear = LogisticRegression(C=10, max_iter=1000).fit(x_train, y_train)
            show("logistic regression on TF-IDF", linear.predict_proba(x_test))
            net = fastnn.MLP([x_train.shape[1], 64, 4], dropout=0.5, seed=0)
        else:  # a word's 32 weights into the identity are its vector; the shares of the words average them
            net = fastnn.MLP([x_train.shape[1], 32, 4], "identity", seed=0)
        trainer = fastnn.Trainer(net, loss="cross_entropy", optimizer=fastnn.Adam(3e-3), lazy=True, seed=0)
        stop = fastnn.EarlyStopping(patience=5)
        trainer.fit(x_train, y_train, 100, validation_data=(x_val, y_val), early_stopping=stop, verbose=0)
        show(f"fastnn, {'TF-IDF' if method == 'tfidf' else 'averaged word vectors'}", net.predict_proba(x_test))

    vectors = net.weights[0] / np.linalg.norm(net.weights[0], axis=1, keepdims=True)
    words = encoder.vocabulary
    print("words whose vectors point the same way:")
    for word in ("estimator", "column", "sparse"):
        near = np.argsort(-(vectors @ vectors[words.index(word)]))[1:6]
        print(f"  {word}: {', '.join(words[k] for k in near)}")


if __name__ == "__main__":
    typer.run(main)
