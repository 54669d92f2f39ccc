"""Random and mutated files through everything that reads a file: right, or one clear sentence.

    python scripts/hardening/readers.py --n 10000
    python scripts/hardening/readers.py --seed 0 --only 123    # one of them, with its traceback
    python scripts/hardening/readers.py --kind npz --n 500     # of one kind
    python scripts/hardening/readers.py --atheris --kind npz   # guided by coverage; needs pip install atheris

Valid files of each kind are made first; an example mutates one of them, knowing its structure (members of
archives, numbers in headers, fields of tables) or not (bytes), and reads it as the command line does. A child
may allocate a gibibyte beyond what it starts with: the files are small, so more would be their claim alone.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import json
import re
import struct
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from judge import examine, parser, report, run_batches

import fastnn
import fastnn.exchange

MEMORY = 2**30
SECONDS = 30.0
# What stands in the place of numbers and fields.
NUMBERS = (
    b"0",
    b"-1",
    b"1",
    b"2147483648",
    b"9223372036854775807",
    b"1" + b"0" * 30,
    b"9" * 5000,
    b"1e999",
    b"nan",
)
WORDS = (
    b"", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b'"', b'""', b"'", b"\n", b"\r", b"\r\n", b",", b";", b"\t",
    b"  ", b"#",
    b"$1,234.56", b"12 %", b"1.234,5", b"(7)", b"2020-13-45", b"25:61", b"inf", b"NaN", b"NA", b"None",
    b"=1+1", b"\\ud800",
    b"[" * 3000, b"{" * 3000, b"a" * 70_000, b"\xf0\x9f\x98\x80", b"\xe2\x80\xae", b"-", b".", b"e", b"0x1F",
    b"null",
    b"true", b"[]", b"{}", b"1_000", b"\xc2\xa0", b"\x1b[2J",
)  # fmt: skip


class Kind(NamedTuple):
    """A kind of file: its name, a valid content, and the function that reads it."""

    suffix: str
    make: Callable[[], bytes]
    read: Callable[[Path], Any]


# --- valid files ----------------------------------------------------------------------------------


def rng() -> np.random.Generator:
    """Return a generator that always draws the same."""
    return np.random.default_rng(0)


@functools.cache
def frame() -> Any:
    """Return a table with columns of several kinds."""
    import pandas

    draw = rng()
    return pandas.DataFrame(
        {
            "size": draw.standard_normal(40).round(3),
            "kind": draw.choice(["red", "green", "blue"], 40),
            "day": pandas.date_range("2024-01-30", periods=40).astype(str),
            "price": [f"${1000 * value:,.2f}" for value in draw.random(40)],
            "y": draw.choice(["no", "yes"], 40),
        }
    )


def written(write: Callable[[Any], Any]) -> bytes:
    """Return what a function writes to a file."""
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def in_folder(name: str, write: Callable[[str], Any]) -> bytes:
    """Return what a function writes to a path."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        write(str(path))
        return path.read_bytes()


def network(**options: Any) -> fastnn.MLP:
    """Return a small network."""
    return fastnn.MLP([4, 5, 3], output="softmax", seed=0, **options)


def model() -> fastnn.Model:
    """Return a model of a table."""
    from fastnn.data import TableEncoder, Target

    rows = frame().drop(columns="y")
    encoder, target = TableEncoder().fit(rows), Target("y").fit(frame()["y"])
    n_in = encoder.transform(rows).shape[1]
    return fastnn.Model(fastnn.MLP([n_in, 5, 2], output="softmax", seed=0), encoder, target)


def idx() -> bytes:
    """Return images in the form of MNIST's files."""
    images = rng().integers(0, 256, (10, 4, 4)).astype(np.uint8)
    return struct.pack(">HBBIII", 0, 8, 3, *images.shape) + images.tobytes()


def picture(form: str) -> bytes:
    """Return a picture."""
    from PIL import Image

    pixels = rng().integers(0, 256, (9, 7, 3)).astype(np.uint8)
    return written(lambda file: Image.fromarray(pixels).save(file, form))


def arrays(save: Callable[..., Any]) -> bytes:
    """Return features and classes as an .npz file."""
    x = rng().standard_normal((30, 4)).astype(np.float32)
    return written(lambda file: save(file, x=x, y=np.arange(30) % 3))


def workbook() -> bytes:
    """Return the table as an Excel file."""
    return written(lambda file: frame().to_excel(file, index=False))


def keras_weights() -> bytes:
    """Return a Keras model of an older form, as HDF5."""
    import h5py

    layers = [
        {"class_name": "InputLayer", "config": {"batch_shape": [None, 4], "name": "in"}},
        {
            "class_name": "Dense",
            "config": {"name": "dense", "units": 3, "activation": "softmax", "use_bias": True},
        },
    ]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}

    def write(path: str) -> None:
        with h5py.File(path, "w") as file:
            file.attrs["model_config"] = json.dumps(config)
            weights = file.create_group("model_weights")
            weights.attrs["layer_names"] = [b"dense"]
            group = weights.create_group("dense")
            group.attrs["weight_names"] = [b"dense/kernel:0", b"dense/bias:0"]
            group["dense/kernel:0"], group["dense/bias:0"] = np.ones((4, 3), "f4"), np.ones(3, "f4")

    return in_folder("model.h5", write)


def config_text() -> bytes:
    """Return settings."""
    return b'source = "a.csv"\nhidden = [64, 32]\nlr = 0.01\n\n[columns]\nsize = "number"\n'


def mails() -> bytes:
    """Return labelled texts."""
    return b"spam\tMoney for you\nham\tSee you at noon\n" * 9


# --- reading, as the command line does ------------------------------------------------------------


def read_rows(path: Path) -> None:
    """Read and encode a source to learn from."""
    from fastnn.app.config import make_config
    from fastnn.app.preparation import prepare

    prepare(make_config(source=str(path), target="y"))


def read_unnamed(path: Path) -> None:
    """Read and encode a source without columns."""
    from fastnn.app.config import make_config
    from fastnn.app.preparation import prepare

    prepare(make_config(source=str(path)))


def read_picture(path: Path) -> None:
    """Read a picture beside a good one."""
    from fastnn.data import ImageEncoder

    ImageEncoder().fit([str(path), str(path)]).transform([str(path)])


def read_idx(path: Path) -> None:
    """Read IDX images without labels."""
    from fastnn.data import read_source

    read_source(str(path), labelled=False)


def read_model(path: Path) -> None:
    """Load a model and predict with it."""
    fastnn.Model.load(path).predict_frame(frame().drop(columns="y"))


def read_network(path: Path) -> None:
    """Load a network and predict with it."""
    fastnn.load(path).predict(np.zeros((2, 4), np.float32))


def read_state(path: Path) -> None:
    """Read weights of PyTorch."""
    fastnn.exchange.from_state_dict(path)


def read_onnx(path: Path) -> None:
    """Read an ONNX file."""
    fastnn.exchange.from_onnx(path)


def read_keras(path: Path) -> None:
    """Read a Keras file."""
    fastnn.exchange.from_keras(path)


def read_settings(path: Path) -> None:
    """Read a file of settings, and check them."""
    from fastnn.app.config import make_config, read_config

    make_config(**{"source": "x"} | read_config(path))


def read_run(path: Path) -> None:
    """Read the summary of a run."""
    from fastnn.plots.run_files import read_json

    read_json(path)


def csv(**options: Any) -> bytes:
    """Return the table as text."""
    return frame().to_csv(index=False, **options).encode()


def torch_state() -> bytes:
    """Return weights as PyTorch's users store them with safetensors."""
    return in_folder("w.safetensors", lambda path: fastnn.exchange.save_torch(network(), path))


KINDS: dict[str, Kind] = {
    "csv": Kind(".csv", csv, read_rows),
    "csv, semicolons": Kind(".csv", lambda: csv(sep=";", decimal=","), read_rows),
    "csv.gz": Kind(".csv.gz", lambda: gzip.compress(csv(), 1), read_rows),
    "tsv": Kind(".tsv", lambda: csv(sep="\t"), read_rows),
    "json": Kind(".json", lambda: frame().to_json(orient="records").encode(), read_rows),
    "jsonl": Kind(".jsonl", lambda: frame().to_json(orient="records", lines=True).encode(), read_rows),
    "parquet": Kind(".parquet", lambda: written(lambda f: frame().to_parquet(f)), read_rows),
    "feather": Kind(".feather", lambda: written(lambda f: frame().to_feather(f)), read_rows),
    "xlsx": Kind(".xlsx", workbook, read_rows),
    "npz": Kind(".npz", lambda: arrays(np.savez), read_unnamed),
    "npz, compressed": Kind(".npz", lambda: arrays(np.savez_compressed), read_unnamed),
    "idx": Kind("-images-idx3-ubyte", idx, read_idx),
    "idx.gz": Kind("-images-idx3-ubyte.gz", lambda: gzip.compress(idx()), read_idx),
    **{
        form: Kind(f".{form}", functools.partial(picture, form), read_picture)
        for form in ("png", "jpeg", "gif", "bmp", "webp", "tiff")
    },
    "text": Kind(".txt", mails, read_unnamed),
    "model": Kind(".safetensors", lambda: in_folder("m.safetensors", model().save), read_model),
    "network": Kind(
        ".safetensors", lambda: in_folder("n.safetensors", network(norm="batch").save), read_network
    ),
    "torch": Kind(".safetensors", torch_state, read_state),
    "onnx": Kind(".onnx", lambda: fastnn.exchange.to_onnx(network()), read_onnx),
    "h5": Kind(".h5", keras_weights, read_keras),
    "toml": Kind(".toml", config_text, read_settings),
    "yaml": Kind(
        ".yaml", lambda: b"source: a.csv\nhidden: [64, 32]\ncolumns: {size: number}\n", read_settings
    ),
    "run": Kind(".json", lambda: b'{"data": {"task": "x", "classes": ["a", "b"]}, "n": [1, 2.5]}', read_run),
}


@functools.cache
def valid(kind: str) -> bytes:
    """Return the content of a valid file."""
    return KINDS[kind].make()


# --- mutations ------------------------------------------------------------------------------------


def pick(generator: np.random.Generator, choices: Any) -> Any:
    """Return one of the choices."""
    return choices[int(generator.integers(len(choices)))]


def mutate_bytes(content: bytes, generator: np.random.Generator) -> bytes:
    """Change bytes, whatever they mean."""
    data = bytearray(content)
    for _ in range(int(generator.choice([1, 1, 2, 8, 64]))):
        at = int(generator.integers(len(data) + 1))
        length = int(generator.choice([1, 4, 8, 100]))
        match int(generator.integers(6)):
            case 0:
                data[at : at + 1] = bytes([int(generator.integers(256))])
            case 1:
                data[at : at + length] = bytes([int(generator.choice([0, 1, 127, 128, 255]))]) * length
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[at : at + length]
            case 4:
                data[at : at + 4] = struct.pack(
                    pick(generator, "<>") + "I", pick(generator, [0, 2**31 - 1, 2**32 - 1])
                )
            case _:
                del data[at:]
        if not data:
            break
    return bytes(data)


def mutate_text(content: bytes, generator: np.random.Generator) -> bytes:
    """Replace words and numbers of a text, and repeat or drop its lines."""
    data = content
    for _ in range(int(generator.choice([1, 1, 2, 5]))):
        spots = list(re.finditer(rb"[\w.$-]+|[^\w\s]", data))
        if not spots:
            return data + pick(generator, WORDS)
        spot = pick(generator, spots)
        is_number = spot.group().replace(b".", b"").isdigit()
        new = pick(generator, NUMBERS if is_number and generator.random() < 0.5 else WORDS)
        match int(generator.integers(4)):
            case 0:
                data = data[: spot.start()] + new + data[spot.start() :]
            case 1 if generator.random() < 0.3:
                data = re.sub(re.escape(spot.group()), lambda _, new=new: new, data)[: 2**20]
            case 2 if b"\n" in data:
                lines = data.split(b"\n")
                k = int(generator.integers(len(lines)))
                lines[k : k + 1] = [lines[k]] * int(generator.integers(3))
                data = b"\n".join(lines)
            case _:
                data = data[: spot.start()] + new + data[spot.end() :]
    return data


def mutate_archive(content: bytes, generator: np.random.Generator) -> bytes:
    """Mutate one member of a zip archive, or its name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    k = int(generator.integers(len(members)))
    name, data = members[k]
    match int(generator.integers(5)):
        case 0:
            del members[k]
        case 1:
            members.append((name, data))
        case 2:
            members[k] = (pick(generator, ["../x.npy", "x/", "", "x.npy", "\n"]), data)
        case _:
            members[k] = (name, mutate_any(data, generator))
    file = io.BytesIO()
    with contextlib.suppress(UserWarning), zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data)
    return file.getvalue()


def mutate_header(content: bytes, generator: np.random.Generator) -> bytes:
    """Mutate the JSON header of a safetensors file; its length stays right."""
    size = struct.unpack("<Q", content[:8])[0]
    header = content[8 : 8 + size]
    if generator.random() < 0.5:  # the header within the header
        entries = json.loads(header)
        inner = entries.get("__metadata__", {}).get("fastnn")
        if inner is not None:
            text = mutate_text(inner.encode(), generator).decode(errors="replace")
            entries["__metadata__"]["fastnn"] = text
            header = json.dumps(entries).encode()
    else:
        header = mutate_text(header, generator)
    return struct.pack("<Q", len(header)) + header + content[8 + size :]


def mutate_npy(content: bytes, generator: np.random.Generator) -> bytes:
    """Mutate the header of an .npy file; its length stays right."""
    size = struct.unpack("<H", content[8:10])[0]
    header = mutate_text(content[10 : 10 + size], generator)[:65_000]
    return content[:8] + struct.pack("<H", len(header)) + header + content[10 + size :]


def mutate_any(content: bytes, generator: np.random.Generator) -> bytes:
    """Mutate a content by its structure, if it has one, or by its bytes."""
    if not content:
        return pick(generator, WORDS)
    if generator.random() < 0.3:
        return mutate_bytes(content, generator)
    if content.startswith(b"PK"):
        return mutate_archive(content, generator)
    if content.startswith(b"\x1f\x8b"):
        return gzip.compress(mutate_any(gzip.decompress(content), generator), 1)
    if content.startswith(b"\x93NUMPY"):
        return mutate_npy(content, generator)
    if content[8:10] == b'{"' and len(content) > 8:
        return mutate_header(content, generator)
    is_text = sum(byte < 9 for byte in content[:1000]) == 0
    return mutate_text(content, generator) if is_text else mutate_bytes(content, generator)


# --- one example ----------------------------------------------------------------------------------


def make_example(kinds: list[str], seed: int, number: int) -> tuple[str, bytes]:
    """Return the kind and the content of an example."""
    generator = np.random.default_rng([seed, number])
    kind = pick(generator, kinds)
    if generator.random() < 0.02:
        return kind, generator.bytes(int(generator.integers(300)))
    content = valid(kind)
    for _ in range(int(generator.choice([1, 1, 1, 2]))):
        with contextlib.suppress(Exception):  # what an earlier mutation has broken has no structure left
            content = mutate_any(content, generator)
    return kind, content


def read_content(kind: str, content: bytes) -> None:
    """Write a content to a file of its kind, and read it."""
    path = Path(f"example{KINDS[kind].suffix}")
    path.write_bytes(content)
    KINDS[kind].read(path)


def run_example(kinds: list[str], seed: int, number: int) -> str | None:
    """Run an example; return its fault, or None."""
    kind, content = make_example(kinds, seed, number)
    fault = examine(lambda: read_content(kind, content), SECONDS)
    if fault is None:
        return None
    return f"{kind}, {len(content):,} bytes: {fault}".encode(errors="backslashreplace").decode()


def guide_by_coverage(kind: str) -> None:
    """Let atheris mutate files of a kind, guided by what runs; it ends at the first fault."""
    import atheris

    atheris.instrument_all()
    folder = tempfile.mkdtemp(prefix="atheris-")
    Path(folder, "valid").write_bytes(valid(kind))

    def read(content: bytes) -> None:
        fault = examine(lambda: read_content(kind, content), SECONDS)
        if fault is not None:
            raise RuntimeError(fault)

    atheris.Setup([sys.argv[0], "-max_len=65536", folder], read)
    atheris.Fuzz()


def main(argv: list[str] | None = None) -> int:
    """Run the examples that the flags ask for."""
    flags = parser(str(__doc__).partition("\n")[0], 10_000)
    flags.add_argument("--kind", choices=KINDS, help="one kind of file instead of all")
    flags.add_argument("--atheris", action="store_true", help="mutations guided by coverage")
    given = flags.parse_args(argv)
    kinds = list(KINDS) if given.kind is None else [given.kind]
    if given.atheris:
        guide_by_coverage(given.kind or "csv")
        return 0
    if given.only is not None:
        kind, content = make_example(kinds, given.seed, given.only)
        print(kind, content[:300])
        try:
            read_content(kind, content)
        except Exception:
            traceback.print_exc()
        return 0
    start = time.perf_counter()
    for kind in kinds:
        valid(kind)
    example = functools.partial(run_example, kinds, given.seed)
    faults = run_batches(example, range(given.n), 100, MEMORY, 4 * SECONDS)
    return report("scripts/hardening/readers.py", "files", given.n, given.seed, faults, start)


if __name__ == "__main__":
    sys.exit(main())
