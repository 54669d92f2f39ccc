"""Random damage to model files, checkpoints and files of other programs: right, or one clear sentence.

    python scripts/hardening/damage.py --n 10000
    python scripts/hardening/damage.py --seed 0 --only 123    # one of them, with its traceback

fastnn's own files carry a checksum: a damaged one gives the same answers as the whole one, or a ValueError.
Where someone changed entries of a header and removed the checksum, and in files of other programs, the
network may be another one, but reading and predicting raises nothing else.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from judge import examine, parser, report, run_batches

import fastnn
from fastnn import Checkpoint, Model
from fastnn.data import ArrayEncoder, TableEncoder, Target, TextEncoder, read_arrays
from fastnn.exchange import from_keras, from_onnx, from_state_dict, save_torch, to_onnx

JUNK = (None, True, -1, 0, 7, 10**30, 0.5, -1e300, float("nan"), float("inf"), "", "x", "\ud800", [], {})


class Original(NamedTuple):
    """A whole file: its name and content, and a function that reads it and returns its answers."""

    name: str
    content: bytes
    read: Callable[[Path], Any]
    has_checksum: bool = False


class OtherAnswersError(Exception):
    """A damaged file was taken for whole."""


@functools.cache
def originals() -> list[Original]:
    """Return the files that are damaged, made once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        return [*_models(path), _checkpoint(path), *_exchanged(path), *_arrays(path)]


def _models(folder: Path) -> list[Original]:
    g = np.random.default_rng(0)
    table: dict[str, Any] = {
        "number": np.where(g.random(90) < 0.1, np.nan, g.standard_normal(90)),
        "date": np.datetime64("2020-01-01") + g.integers(0, 900, 90),
        "few": g.choice(["red", "green", "blue"], 90),
        "many": [f"c{k}" for k in g.integers(0, 40, 90)],
    }
    texts = [f"a quick {k} brown fox over dog number {7 * k}" for k in range(90)]
    found = []
    for encoder, rows in (
        (TableEncoder(columns={"many": "embedding"}), table),
        (TableEncoder(), {"text": texts}),
        (TextEncoder(min_count=1), texts),
        (ArrayEncoder(), g.standard_normal((90, 4))),
    ):
        x = encoder.fit(rows).transform(rows)
        target = Target("answer").fit(np.resize(["no", "yes", "maybe"], 90))
        net = fastnn.MLP([x.shape[1], 5, 3], embeddings=encoder.embeddings, output="softmax", seed=0)
        Model(net, encoder, target).save(folder / "model")
        content = (folder / "model").read_bytes()
        found.append(Original("model.safetensors", content, functools.partial(_model_answers, rows), True))
    net = fastnn.MLP([4, 16, 3], "prelu", norm="batch", output="softmax", seed=0)
    net.save(folder / "net")
    x = g.standard_normal((20, 4))
    content = (folder / "net").read_bytes()
    return [*found, Original("net.safetensors", content, functools.partial(_network_answers, x), True)]


def _model_answers(rows: Any, path: Path) -> Any:
    model = Model.load(path)
    return model.predict_proba(rows).tobytes(), model.target.classes


def _network_answers(x: np.ndarray, path: Path) -> bytes:
    return fastnn.load(path).predict_raw(x, n_threads=1).tobytes()


def _checkpoint(folder: Path) -> Original:
    net = fastnn.MLP([4, 8, 3], dropout=0.1, seed=0)
    trainer = fastnn.Trainer(net, loss="cross_entropy", seed=0, n_threads=1)
    x, y = np.random.default_rng(0).standard_normal((60, 4)), np.arange(60) % 3
    trainer.fit(x, y, epochs=1, checkpoint=Checkpoint(folder / "checkpoints"), verbose=0)
    (path,) = Checkpoint(folder / "checkpoints").files()

    def read(path: Path) -> Any:
        state, arrays = Checkpoint(path.parent).read() or (None, {})
        return json.dumps(state), {name: array.tobytes() for name, array in sorted(arrays.items())}

    return Original(path.name, path.read_bytes(), read, True)


def _exchanged(folder: Path) -> list[Original]:
    import h5py

    net = fastnn.MLP([4, 6, 3], "tanh", norm="batch", output="softmax", seed=0)
    save_torch(net, folder / "torch")
    config = {"name": "d", "units": 3, "activation": "softmax"}
    layers = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": config}]}}
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["model_config"] = json.dumps(layers)
        group = file.create_group("model_weights/d")
        group.attrs["weight_names"] = ["d/kernel", "d/bias"]
        group["d/bias"] = np.zeros(3, "f4")
        group.create_dataset("d/kernel", data=np.ones((4, 3), "f4"), compression="gzip", chunks=(2, 3))
    return [
        Original("model.onnx", to_onnx(net), lambda path: _finite(from_onnx(path))),
        Original("torch.safetensors", (folder / "torch").read_bytes(), lambda p: _finite(from_state_dict(p))),
        Original("model.h5", content.getvalue(), lambda path: _finite(from_keras(path))),
    ]


def _finite(net: fastnn.MLP) -> None:
    if not np.isfinite(net.params).all():
        raise OtherAnswersError("the network has parameters that are not finite")


def _arrays(folder: Path) -> list[Original]:
    np.savez_compressed(folder / "data.npz", x=np.arange(60.0).reshape(20, 3), y=np.arange(20) % 2)
    idx = struct.pack(">HBBII", 0, 8, 2, 10, 9) + bytes(range(90))
    np.save(folder / "x.npy", np.arange(60.0).reshape(20, 3))
    return [
        Original("data.npz", (folder / "data.npz").read_bytes(), lambda path: _rows(path, True)),
        Original("x.npy", (folder / "x.npy").read_bytes(), lambda path: _rows(path, False)),
        Original("x-idx2-ubyte.gz", gzip.compress(idx), lambda path: _rows(path, False)),
    ]


def _rows(path: Path, labelled: bool) -> None:
    np.asarray(read_arrays(path, labelled=labelled).rows).sum()


# --- damage -----------------------------------------------------------------------------------------------


def damaged(original: Original, rng: np.random.Generator) -> tuple[bytes, bool, str]:
    """Return damaged content, whether a checksum is to find that, and what was done."""
    content = bytearray(original.content)
    # Half of the damage is done to the first bytes, which say what the rest is.
    n = len(content) if rng.random() < 0.5 else max(1, min(len(content), int(10 ** rng.uniform(0, 3.5))))
    first, length = int(rng.integers(n)), int(10 ** rng.uniform(0, 2.5))
    what = str(rng.choice(["flips", "cut", "zeros", "random", "moved", "inserted", "edited"]))
    if what == "edited" and original.has_checksum:
        return *_edited(original.content, rng), what
    if what == "cut":
        del content[first:]
    elif what == "zeros":
        content[first : first + length] = bytes(len(content[first : first + length]))
    elif what == "random":
        content[first : first + length] = rng.bytes(len(content[first : first + length]))
    elif what == "moved":
        content[first : first + length] = content[: len(content[first : first + length])]
    elif what == "inserted":
        content[first:first] = rng.bytes(length)
    else:
        for place in rng.integers(0, n, int(rng.integers(1, 5))):
            content[place] ^= 1 << int(rng.integers(8))
    return bytes(content), original.has_checksum, what


def _edited(content: bytes, rng: np.random.Generator) -> tuple[bytes, bool]:
    """Change an entry of fastnn's header, and remove the checksum."""
    n = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:n])
    own = json.loads(header["__metadata__"]["fastnn"])
    del own["checksum"]
    at: Any = own
    while True:
        keys = list(at) if isinstance(at, dict) else range(len(at))
        key = keys[int(rng.integers(len(keys)))]
        if not isinstance(at[key], (dict, list)) or not at[key] or rng.random() < 0.2:
            break
        at = at[key]
    if rng.random() < 0.2:
        del at[key]
    else:
        at[key] = JUNK[int(rng.integers(len(JUNK)))]
    header["__metadata__"]["fastnn"] = json.dumps(own)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[n:], False


def make_example(seed: int, number: int) -> tuple[Original, bytes, bool, str]:
    """Return an original, its damaged content, whether a checksum finds that, and what was done."""
    rng = np.random.default_rng((seed, number))
    original = originals()[number % len(originals())]
    return original, *damaged(original, rng)


def read_example(original: Original, content: bytes, is_strict: bool) -> None:
    """Read damaged content; raise OtherAnswersError if it is taken for whole, but is not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / original.name
        path.write_bytes(original.content)
        ref = original.read(path)
        path.write_bytes(content)
        found = original.read(path)
    if is_strict and found != ref:
        raise OtherAnswersError("it is taken for whole, but gives other answers")


def run_example(seed: int, number: int) -> str | None:
    """Run an example; return its fault, or None."""
    original, content, is_strict, what = make_example(seed, number)
    fault = examine(lambda: read_example(original, content, is_strict))
    return None if fault is None else f"{original.name}, {what}: {fault}"


def main(argv: list[str] | None = None) -> int:
    """Run the examples that the flags ask for."""
    flags = parser(str(__doc__).partition("\n")[0], 10_000).parse_args(argv)
    if flags.only is not None:
        original, content, is_strict, what = make_example(flags.seed, flags.only)
        print(original.name, what)
        try:
            read_example(original, content, is_strict)
        except Exception:
            traceback.print_exc()
        return 0
    start = time.perf_counter()
    originals()
    faults = run_batches(functools.partial(run_example, flags.seed), range(flags.n), 500, 2 * 2**30, 120.0)
    return report("scripts/hardening/damage.py", "damaged files", flags.n, flags.seed, faults, start)


if __name__ == "__main__":
    sys.exit(main())
