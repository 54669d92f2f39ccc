"""Pictures of clothes: from the four files to a confusion matrix and the weights of the first layer.

Pass the folder with the IDX files of Fashion-MNIST (Debian's package dataset-fashion-mnist installs them) or
MNIST. Without it, files of the same format are written from scikit-learn's small digits. The network has one
hidden layer of 100 units; two pictures show which classes it confuses, and its first-layer weights.

    python scripts/examples/fashion_mnist.py path/to/fashion-mnist --pictures .
"""

import struct
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from sklearn.datasets import load_digits

import fastnn
from fastnn import plots
from fastnn.data import ArrayEncoder, Target, read_arrays

CLOTHES = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"]


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write a file in MNIST's format: two zeros, the type (8: bytes), number of axes, lengths, values."""
    header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_digits(folder: Path) -> None:
    """Write the four files from scikit-learn's digits."""
    x, y = load_digits(return_X_y=True)
    for name, part in (("train", slice(1400)), ("t10k", slice(1400, None))):
        write_idx(folder / f"{name}-images-idx3-ubyte", x[part].reshape(-1, 8, 8) * 15)
        write_idx(folder / f"{name}-labels-idx1-ubyte", y[part])


def main(
    folder: Annotated[Path | None, typer.Argument(help="With the four IDX files.")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder to draw into.")] = None,
    small: bool = False,
) -> None:
    """Train, test and draw."""
    with tempfile.TemporaryDirectory() as temporary:
        if folder is None:
            folder = Path(temporary)
            write_digits(folder)
        data = read_arrays(folder)
    x_raw, y, (x_test_raw, y_test) = data.rows, data.y, data.test
    encoder, target = ArrayEncoder().fit(x_raw), Target("class").fit(y)
    net = fastnn.MLP([x_raw[0].size, 100, len(target.classes)], seed=0)
    # The decay was chosen on 10,000 of the training pictures, not on the test pictures.
    optimizer = fastnn.AdamW(1e-3, weight_decay=0.1)
    trainer = fastnn.Trainer(net, loss="cross_entropy", optimizer=optimizer, schedule="one_cycle", seed=0)
    x, x_test = encoder.transform(x_raw), encoder.transform(x_test_raw)
    history = trainer.fit(x, target.encode(y), epochs=3 if small else 15, verbose=0)
    seconds = sum(epoch.seconds for epoch in history.epochs)
    print(f"{len(y):,} pictures, {len(history)} epochs in {seconds:.1f} s")

    model = fastnn.Model(net, encoder, target)
    accuracy = model.evaluate(x_test_raw, y_test)["accuracy"]
    print(f"of {len(y_test):,} others right: {accuracy['value']:.2%}", end=" ")
    print(f"(95 % interval {accuracy['low']:.2%} to {accuracy['high']:.2%})")

    truth, answers = target.encode(y_test), net.predict(x_test)
    names = CLOTHES if "fashion" in data.name else [str(label) for label in target.classes]
    confused = np.zeros((len(names), len(names)), int)
    np.add.at(confused, (truth, answers), truth != answers)
    worst, taken_for = np.unravel_index(confused.argmax(), confused.shape)
    print(f"most often: {names[worst]} taken for {names[taken_for]}, {confused.max()} times")

    pictures = pictures or Path(tempfile.mkdtemp())
    pictures.mkdir(parents=True, exist_ok=True)
    drawn = {
        "confusion.png": plots.confusion_matrix(truth, answers, classes=names),
        "first_layer.png": plots.first_layer_weights(net, x_raw.shape[1:]),
    }
    for name, ax in drawn.items():
        ax.figure.savefig(pictures / name)
        print("drawn:", pictures / name)


if __name__ == "__main__":
    typer.run(main)
