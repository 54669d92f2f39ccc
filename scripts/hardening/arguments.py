"""Random arguments and arrays through every public callable: right, or one clear sentence.

    python scripts/hardening/arguments.py --n 30000
    python scripts/hardening/arguments.py --seed 0 --only 123    # one of them, with its traceback

The public names are walked, so a new function is called without a line here: each required argument gets a
sensible value by its name, then one or several arguments get values of the pool `hostile`.
"""

from __future__ import annotations

import decimal
import fractions
import functools
import importlib
import inspect
import io
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from judge import examine, parser, report, run_batches

import fastnn

PLACES = (
    "fastnn", "fastnn.data", "fastnn.exchange", "fastnn.plots", "fastnn.tuning", "fastnn.training",
    "fastnn.network", "fastnn.activations", "fastnn.losses", "fastnn.optimizers", "fastnn.schedules",
    "fastnn.metrics", "fastnn.evaluation", "fastnn.history", "fastnn.model", "fastnn.estimators",
)  # fmt: skip
# Records of results, protocols and base classes: fastnn makes or calls them, not its users.
PASSIVE = {
    "Callback", "Schedule", "Optimizer", "Stream", "Encoder", "DivergenceError", "LossInfo", "Split",
    "Picture",
    "Calibration", "LRCurve", "Trial", "TuneResult", "Recipe", "Epoch", "Metric", "Dataset", "Predictor",
    "History",
    "encoder_from_dict", "name_of", "take", "powers", "format_figure", "Function", "Constant",
    "default_space", "read_source",
}  # fmt: skip
PASSIVE_METHODS = {
    "rates", "observe", "constants", "from_dict", "on_batch_end", "on_epoch_begin", "on_epoch_end",
    "on_fit_begin", "on_fit_end", "write", "answers", "columns", "probabilities", "scores", "blocks",
    "check_targets", "n_targets", "fingerprint", "get_params", "settings", "get_metadata_routing",
}  # fmt: skip
ROWS, FEATURES, CLASSES = 24, 4, 3


class Target(NamedTuple):
    """Something to call: its name, and a function that makes it anew for each example."""

    name: str
    make: Callable[[], Callable[..., Any]]
    parameters: tuple[inspect.Parameter, ...]


# --- sensible arguments ---------------------------------------------------------------------------


def rng() -> np.random.Generator:
    """Return a generator that always draws the same."""
    return np.random.default_rng(0)


def features(n: int = FEATURES) -> np.ndarray:
    """Return rows of features."""
    return rng().standard_normal((ROWS, n)).astype(np.float32)


def labels() -> np.ndarray:
    """Return the classes of the rows."""
    return np.arange(ROWS) % CLASSES


def network(n_in: int = FEATURES, n_out: int = CLASSES) -> fastnn.MLP:
    """Return a small network."""
    return fastnn.MLP([n_in, 5, n_out], output="softmax", seed=0)


def trainer(**options: Any) -> fastnn.Trainer:
    """Return a trainer that has not trained yet."""
    return fastnn.Trainer(network(), **{"loss": "cross_entropy", "seed": 0} | options)


def table() -> Any:
    """Return a table with columns of several kinds."""
    import pandas

    return pandas.DataFrame({"size": features()[:, 0], "kind": list("abcd") * 6, "answer": labels()})


def table_file() -> str:
    """Return the path of a table."""
    path = Path("table.csv")
    if not path.exists():
        table().to_csv(path, index=False)
    return str(path)


def array_encoder() -> Any:
    """Return a fitted encoder."""
    from fastnn.data import ArrayEncoder

    return ArrayEncoder().fit(features())


def target() -> Any:
    """Return a fitted target."""
    from fastnn.data import Target as DataTarget

    return DataTarget("answer").fit(labels())


def model() -> fastnn.Model:
    """Return an untrained model."""
    return fastnn.Model(network(), array_encoder(), target())


def model_file() -> str:
    """Return the path of a model."""
    path = Path("model.safetensors")
    if not path.exists():
        model().save(path)
    return str(path)


def history() -> fastnn.History:
    """Return the history of a training."""
    ready = trainer()
    return ready.fit(features(), labels(), epochs=2, verbose=0)


def estimator(cls: type) -> Any:
    """Return a fitted estimator."""
    import sklearn

    sklearn.set_config(enable_metadata_routing=False)
    return cls(hidden_layer_sizes=(5,), max_iter=2, random_state=0).fit(features(), labels())


def stream() -> Any:
    """Return a stream of arrays."""
    from fastnn.data import ArrayStream

    return ArrayStream(features(), labels())


def recorder() -> Any:
    """Return a recorder that has recorded a training."""
    found = fastnn.RecordBoundary(features(2), resolution=5)
    ready = fastnn.Trainer(network(2), loss="cross_entropy", seed=0)
    ready.fit(features(2), labels(), epochs=2, callbacks=[found], verbose=0)
    return found


def histogram_recorder() -> Any:
    """Return a recorder of histograms that has recorded a training."""
    found = fastnn.RecordHistograms(features(), labels())
    trainer().fit(features(), labels(), epochs=1, callbacks=[found], verbose=0)
    return found


def constant(value: Any) -> Callable[[], Any]:
    """Return a function that returns the value."""
    return lambda: value


SENSIBLE: dict[str, Callable[[], Any]] = {
    "x": features, "X": features, "y": labels, "rows": features, "net": network, "network": network,
    "estimator_or_model_or_net": network, "predict_or_net": lambda: network(2), "trainer": trainer,
    "model": network,
    "encoder": array_encoder, "target": constant("answer"), "outputs": features, "sizes": constant([4, 5, 3]),
    "path": constant("new.safetensors"), "folder": constant("folder"), "loss": constant("cross_entropy"),
    "function": constant("relu"), "parameters": dict, "params": dict, "factor": constant(0.5),
    "lr": constant(0.1),
    "every": constant(2), "epochs": constant(2), "history": history, "recorder": recorder,
    "truth": labels, "prediction": labels, "truth_train": labels, "truth_test": labels,
    "losses": lambda: features()[:, 0],
    "probabilities": lambda: np.full((ROWS, CLASSES), 1 / CLASSES), "source": table_file, "state": dict,
    "frame": table, "data": constant(ROWS), "numbers": lambda: labels(), "out": lambda: features(1),
    "stream": stream, "spec": constant("adam"), "optimizer": constant("adam"), "n": constant(5),
    "n_hits": constant(2),
    "given": dict, "chosen": dict, "task": constant("multiclass"), "run_folder": constant("run"),
    "callbacks": list, "indices": lambda: np.arange(3), "name": constant("answer"), "shape": constant((2, 2)),
    "metric_name": constant("accuracy"),
}  # fmt: skip
# Where a name stands for something else.
SPECIAL: dict[str, dict[str, Callable[[], Any]]] = {
    "Model": {"target": target},
    "Model.load": {"path": model_file},
    "load": {"path": model_file},
    "Activation": {"function": constant("tanh")},
    "Loss": {"function": constant("mse")},
    "Trainer.change_lr": {},
    "Trainer.fit": {"epochs": constant(1), "verbose": constant(0), "y": labels},
    "Trainer.evaluate": {"y": labels},
    "RecordBoundary": {"x": lambda: features(2)},
    "boundary_animation": {"x": lambda: features(2), "y": labels},
    "decision_boundary": {"x": lambda: features(2), "y": labels},
    "histograms": {"recorder": histogram_recorder},
    "TableEncoder.fit": {"rows": table},
    "TableEncoder.transform": {"rows": table},
    "ImageEncoder.fit": {"rows": lambda: features(64).reshape(-1, 8, 8)},
    "ImageEncoder.transform": {"rows": lambda: features(64).reshape(-1, 8, 8)},
    "TextEncoder.fit": {"rows": constant(["one two", "two three"] * 4)},
    "TextEncoder.transform": {"rows": constant(["one two", "two three"] * 4)},
    "Target.encode": {"y": labels},
    "as_activation": {"spec": constant("relu")},
    "as_loss": {"spec": constant("mse")},
    "as_schedule": {"spec": constant("cosine")},
    "as_metric": {"spec": constant("f1")},
    "Milestones": {"epochs": constant([2, 4])},
    "TableStream": {"source": table_file},
    "permutation_importance": {"y": labels, "n_repeats": constant(1)},
    "tune": {"n_trials": constant(1), "epochs": constant(1), "verbose": constant(0)},
    "find_lr": {"n_steps": constant(5)},
    "to_sklearn": {},
    "from_sklearn": {"model": lambda: _sklearn_model()},
    "to_onnx": {"path": constant("model.onnx")},
    "from_onnx": {"source": constant("missing.onnx")},
    "from_keras": {"path": constant("missing.keras")},
    "from_state_dict": {"state": lambda: {"0.weight": np.ones((3, 4)), "0.bias": np.ones(3)}},
    "evaluate_predictions": {"n_resamples": constant(5)},
    "ArrayStream.store": {"stream": stream},
    "TableStream.store": {"stream": stream},
    "LBFGS": {},
}  # fmt: skip


def _sklearn_model() -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier((5,), max_iter=1).fit(features(), labels())


def instances() -> dict[str, Callable[[], Any]]:
    """Return, by class, how to make an object whose methods can be called."""
    from fastnn import data

    return {
        "MLP": network, "Model": model, "Trainer": trainer, "Loss": lambda: fastnn.Loss("mse"),
        "Checkpoint": lambda: fastnn.Checkpoint("folder"),
        "MLPClassifier": lambda: estimator(fastnn.MLPClassifier),
        "MLPRegressor": lambda: estimator(fastnn.MLPRegressor), "ArrayEncoder": array_encoder,
        "Target": target,
        "ArrayStream": stream, "TableStream": lambda: data.TableStream(table_file(), "answer"),
        "TableEncoder": lambda: data.TableEncoder().fit(table()),
        "ImageEncoder": lambda: data.ImageEncoder().fit(features(64).reshape(-1, 8, 8)),
        "TextEncoder": lambda: data.TextEncoder().fit(["one two", "two three"] * 4),
        "Space": lambda: fastnn.tuning.Space({}),
    }  # fmt: skip


# --- hostile arguments ----------------------------------------------------------------------------


def nested(n: int) -> list:
    """Return a list in a list, n times."""
    found: list = []
    for _ in range(n):
        found = [found]
    return found


class Ill:
    """An object that does not even show itself."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")


SCALARS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 2**31, 2**32, 2**63, 2**64, 10**30, -(10**30), 10**400, -(10**400),
    10**5000,
    0.0, -0.0, 0.5, 1.0, 1.5, -2.5, 1e-300, 1e308, 1e999, -1e999, float("nan"), 1j, complex("nan"),
    np.int8(3), np.uint64(2**64 - 1), np.float16(0.5), np.float32("nan"), np.longdouble("1e4000"),
    np.bool_(True),
    np.datetime64("NaT"), np.timedelta64(3, "s"), decimal.Decimal("1e400"), decimal.Decimal("NaN"),
    fractions.Fraction(1, 3), fractions.Fraction(10**400, 3),
    "", " ", "a", "adam", "mse", "relu", "softmax", "batch", "auto", "$x_1$", "<b>&amp;", "\ud800", "a\x00b",
    "\n",
    "x" * 100_000, "nan", "1", "..", b"", b"a", bytearray(b"ab"), int, float, str, object(), NotImplemented,
    Ellipsis,
    len, lambda: None, lambda a: a, lambda a, y: a - y, slice(1, 2), range(3), range(10**12), Ill(),
    Path("missing"),
    Path("."), io.StringIO("a"), np, np.dtype("float32"), np.random.default_rng(0), np.random.RandomState(0),
)  # fmt: skip


def containers() -> list[Any]:
    """Return containers that hold little that is useful."""
    return [
        [], [[]], (), {}, set(), frozenset({1}), [None], [None] * ROWS, [0] * ROWS, [1, 2, 3], [1.5] * ROWS,
        ["a"] * ROWS, [[1.0]] * ROWS, [[1.0, 2.0], [3.0]], [float("nan")] * ROWS, [2**70] * ROWS,
        [10**400] * ROWS,
        [10**5000] * ROWS, [[10**400] * FEATURES] * ROWS, nested(70), nested(5000), [{}], [{"a": 1}] * ROWS,
        {"a": 1}, {0: 1.0, 1: 2.0}, {2**70: 1.0}, {"bias": 10**400}, {(1, 2): Ill()}, ("a", "b"), (1, 2), (0,
        0),
        (2**40, 2**40), [True, False] * (ROWS // 2), ["$a_1$", "<&>", "\ud800"] * (ROWS // 3), iter([1, 2]),
        (k for k in range(3)), [Ill()], [object()] * ROWS, [b"a"] * ROWS, [1, "a", None, 2.5] * (ROWS // 4),
        {"x": features(), "y": labels()}, (features(), labels()), (features(), labels(), None, None),
        zip([1], [2], strict=True),
    ]  # fmt: skip


def arrays() -> list[Any]:
    """Return arrays of all kinds."""
    x = features()
    masked = np.ma.masked_array(x, np.eye(ROWS, FEATURES, dtype=bool))
    record = np.zeros(ROWS, [("a", "f4"), ("b", "i8")])
    x_nan = x.copy()
    x_nan[3, 1] = np.nan
    read_only = x.copy()
    read_only.flags.writeable = False
    return [
        x, x.astype(">f4"), x.astype(np.float16), x.astype(np.longdouble), x.astype(np.int8),
        x.astype(object),
        x.astype(str), x.astype(complex), np.asfortranarray(x), x[::-1, ::-1], read_only, masked, record,
        x_nan,
        x * np.float32(1e38), x.astype(np.float64) * 1e300, x[:0], x[:1], x[:, :0], x[0], x[..., None],
        np.zeros(()),
        np.zeros((0,)), np.zeros((0, 0)), np.zeros((3, 0)), np.matrix(x), labels(), labels() + 1,
        labels() - 1,
        labels().astype(float) + 0.5, labels().astype("U3"), labels().astype("S3"), labels().astype(bool),
        labels()[:, None], np.eye(CLASSES)[labels()], np.zeros(ROWS), np.ones(ROWS), -np.ones(ROWS),
        np.full(ROWS, np.inf), np.full(ROWS, np.nan), np.full(ROWS, 2**63, np.uint64), np.full((ROWS, 4),
        2**63, "u8"),
        np.array(["2020-01-01"] * ROWS, "M8[s]"), np.array([None] * ROWS), np.array([10**400] * ROWS, object),
        np.array([[1, 2], [3]], object), np.empty((ROWS, FEATURES), "V4"), np.broadcast_to(np.float32(1),
        (ROWS, 4)),
        np.broadcast_to(np.float32(1), (2**40, 4)), np.lib.stride_tricks.as_strided(x, (ROWS, FEATURES), (0,
        0)),
        x.view(np.recarray), x[:, 0], np.array("a"), np.array(5), np.array(2.5), rng().random((ROWS,
        CLASSES)),
    ]  # fmt: skip


def tables() -> list[Any]:
    """Return tables, and matrices of other libraries."""
    import pandas
    from scipy import sparse

    x, frame = features(), table()
    wide = pandas.DataFrame(x)
    damaged = sparse.csr_matrix(x)
    damaged.indices = damaged.indices + 7
    return [
        frame, wide, wide.iloc[:0], wide.astype("Float32"), wide.astype("Int8", errors="ignore"),
        wide.astype(str),
        wide.rename(columns={0: "$a_1$"}), wide.rename(columns=dict.fromkeys(range(4), "a")),
        pandas.DataFrame({"a": [pandas.NA] * ROWS}), pandas.DataFrame(), pandas.Series(labels()),
        pandas.Series(labels(), dtype="Int64").where(labels() > 0), pandas.Series(list("abc") * 8,
        dtype="category"),
        pandas.Series([pandas.NaT] * ROWS), pandas.Index(labels()), pandas.date_range("2020", periods=ROWS),
        pandas.Series([pandas.Interval(0, 1)] * ROWS), pandas.concat([wide, wide], axis=1),
        pandas.DataFrame(x, columns=pandas.MultiIndex.from_product([["a", "b"], [1, 2]])),
        sparse.csr_matrix(x), sparse.csc_array(x), sparse.coo_matrix(x), sparse.csr_matrix((0, 4)),
        sparse.csr_matrix(x.astype(complex)), damaged, sparse.csr_array((4, 2**33), dtype=np.float32),
        sparse.csr_matrix(np.where(x > 0, np.nan, x)), sparse.eye(4), sparse.csr_matrix(labels()[:, None]),
    ]  # fmt: skip


@functools.cache
def hostile() -> tuple[Any, ...]:
    """Return all values that arguments are replaced by; scalars come twice, as most arguments are scalars."""
    return (*SCALARS, *SCALARS, *containers(), *arrays(), *tables())


def fresh(generator: np.random.Generator) -> Any:
    """Return one hostile value; iterators are made anew, as they can be read once."""
    pool = hostile()
    k = int(generator.integers(len(pool)))
    value = pool[k]
    if isinstance(value, Iterator):
        return iter(range(3))
    return value


# --- what is called -------------------------------------------------------------------------------


def parameters_of(function: Any, is_method: bool = False) -> tuple[inspect.Parameter, ...]:
    """Return the parameters of a callable; the first of a method is left out."""
    found = tuple(inspect.signature(function).parameters.values())
    return found[1:] if is_method or [p.name for p in found[:1]] == ["self"] else found


def public_callables() -> list[Target]:
    """Walk the public names; return functions, constructors, methods and settable properties."""
    made, found, seen = instances(), [], set()
    for place in PLACES:
        module = importlib.import_module(place)
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == place]
        for name in getattr(module, "__all__", own):
            value = getattr(module, name)
            if name.startswith("_") or name in PASSIVE or not callable(value) or id(value) in seen:
                continue
            seen.add(id(value))
            found.append(Target(name, constant(value), parameters_of(value)))
            if inspect.isclass(value) and name in made:
                found += _methods(name, value, made[name])
    return found


def _methods(name: str, cls: type, make: Callable[[], Any]) -> Iterator[Target]:
    for key, value in inspect.getmembers(cls):
        public = not key.startswith("_") and key not in PASSIVE_METHODS and not key.endswith("_request")
        if isinstance(value, property) and value.fset is not None:
            only = inspect.Parameter("value", inspect.Parameter.POSITIONAL_OR_KEYWORD)
            yield Target(f"{name}.{key} =", functools.partial(_setter, make, key), (only,))
        elif public and callable(value):
            is_method = inspect.isfunction(inspect.getattr_static(cls, key))
            yield Target(
                f"{name}.{key}", functools.partial(_bound, make, key), parameters_of(value, is_method)
            )


def _setter(make: Callable[[], Any], key: str) -> Callable[..., Any]:
    made = make()
    return lambda value: setattr(made, key, value)


def _bound(make: Callable[[], Any], key: str) -> Callable[..., Any]:
    return getattr(make(), key)


# --- one example ----------------------------------------------------------------------------------


def make_example(seed: int, number: int) -> tuple[Target, dict[str, Any], list[str]]:
    """Return what an example calls, with which arguments, and which of them are hostile."""
    generator = np.random.default_rng([seed, number])
    targets = public_callables()
    chosen = targets[int(generator.integers(len(targets)))]
    named = [p for p in chosen.parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    special = SPECIAL.get(chosen.name, {})
    arguments = {
        p.name: special.get(p.name, SENSIBLE.get(p.name, constant(None)))()
        for p in named
        if p.default is p.empty or p.name in special
    }
    n_hostile = min(len(named), int(generator.choice([1, 1, 1, 2, 4])))
    bad = [named[i].name for i in generator.permutation(len(named))[:n_hostile]]
    arguments |= {name: fresh(generator) for name in bad}
    return chosen, arguments, bad


def split_arguments(target: Target, arguments: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return positional-only arguments, and all others by name."""
    kinds = {p.name: p.kind for p in target.parameters}
    first = [v for name, v in arguments.items() if kinds[name] == inspect.Parameter.POSITIONAL_ONLY]
    rest = {k: v for k, v in arguments.items() if kinds[k] != inspect.Parameter.POSITIONAL_ONLY}
    return first, rest


def run_example(seed: int, number: int) -> str | None:
    """Run an example; return its fault, or None."""
    chosen, arguments, bad = make_example(seed, number)
    call = chosen.make()
    positional, named = split_arguments(chosen, arguments)
    fault = examine(lambda: call(*positional, **named))
    if fault is None:
        return None
    from fastnn._checks import shown

    values = ", ".join(f"{name}={shown(arguments[name])}" for name in bad)
    return f"{chosen.name}({values}): {fault}".encode(errors="backslashreplace").decode()


def main(argv: list[str] | None = None) -> int:
    """Run the examples that the flags ask for."""
    flags = parser(str(__doc__).partition("\n")[0], 30_000).parse_args(argv)
    os.environ.setdefault("MPLBACKEND", "agg")
    if flags.only is not None:
        chosen, arguments, bad = make_example(flags.seed, flags.only)
        print(chosen.name, {name: repr(type(arguments[name])) for name in bad})
        positional, named = split_arguments(chosen, arguments)
        try:
            chosen.make()(*positional, **named)
        except Exception:
            traceback.print_exc()
        return 0
    start = time.perf_counter()
    hostile(), public_callables()
    faults = run_batches(functools.partial(run_example, flags.seed), range(flags.n), 250, 8 * 2**30, 300.0)
    return report("scripts/hardening/arguments.py", "calls", flags.n, flags.seed, faults, start)


if __name__ == "__main__":
    sys.exit(main())
