"""The command line: ``fastnn train``, ``fastnn doctor``."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from . import __version__, _checks

typer = _checks.require("typer", "all")

from . import data, optimizers  # noqa: E402
from .kernels.activations import ACTIVATIONS  # noqa: E402
from .losses import LOSSES, Loss  # noqa: E402
from .network import MLP  # noqa: E402
from .stopping import EarlyStopping  # noqa: E402
from .trainer import DivergenceError, Trainer  # noqa: E402

app = typer.Typer(
    name="fastnn",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

INTERRUPTED = 130  # what a shell expects of a program that Ctrl-C ended


def _named(what: str, names: Iterable[str]) -> Any:
    """An option whose values are names; the library checks them."""
    return typer.Option(help=f"{what}: {', '.join(names)}.")


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _hidden_sizes(hidden: str) -> list[int]:
    try:
        sizes = [int(size) for size in hidden.split(",") if size.strip()]
    except ValueError:
        raise ValueError(f"--hidden must be widths such as 128,64, got {hidden!r}.") from None
    return [_checks.check_count("--hidden", size) for size in sizes]


def _make_optimizer(name: str, lr: float | None, momentum: float, nesterov: bool):
    optimizer: Any = optimizers.as_optimizer(name)
    fields = {field.name for field in dataclasses.fields(optimizer)}
    given = {"lr": lr, "momentum": momentum or None, "nesterov": nesterov or None}
    options = {option: value for option, value in given.items() if value is not None}
    for option in options:
        if option not in fields:
            raise ValueError(f"--{option} does not go with --optimizer {name}.")
    return dataclasses.replace(optimizer, **options)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Train multilayer perceptrons on a CPU, fast."""


@app.command(epilog="Example: fastnn train flowers.csv --target species --hidden 64,32 --epochs 50")
def train(
    source: Annotated[
        str,
        typer.Argument(
            metavar="NAME|PATH",
            help=f"One of {', '.join(data.BUILT_IN)}; or a .npz file with x and y; a .csv file; a folder "
            "with the four IDX files of MNIST or Fashion-MNIST.",
        ),
    ],
    target: Annotated[str | None, typer.Option(help="Column of a .csv to predict.")] = None,
    task: Annotated[str | None, _named("By default what the target looks like", data.TASKS)] = None,
    hidden: Annotated[str, typer.Option(help="Widths of the hidden layers, as in 128,64.")] = "128",
    activation: Annotated[str, _named("Of the hidden layers", ACTIVATIONS)] = "relu",
    loss: Annotated[str | None, _named("By default what the task needs", LOSSES)] = None,
    optimizer: Annotated[str, _named("Optimiser", optimizers.OPTIMIZERS)] = "adam",
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    momentum: Annotated[float, typer.Option(help="For sgd.")] = 0.0,
    nesterov: Annotated[bool, typer.Option("--nesterov", help="For sgd with momentum.")] = False,
    l2: Annotated[float, typer.Option(help="Strength of the L2 penalty.")] = 0.1,
    batch_size: Annotated[int, typer.Option(help="Rows a step; 0 for all of them.")] = 32,
    epochs: Annotated[int, typer.Option()] = 30,
    validation: Annotated[float, typer.Option(help="Share of the training rows to validate on.")] = 0.1,
    patience: Annotated[
        int, typer.Option(help="Stop after so many epochs in which the validation cost has not fallen.")
    ] = 0,
    test: Annotated[float, typer.Option(help="Share of the rows to test with.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Of the split, the weights and the shuffling.")] = 0,
    threads: Annotated[int | None, typer.Option(help="By default all usable cores.")] = None,
    dtype: Annotated[str, _named("Of the network", _checks.DTYPES)] = "float32",
    output: Annotated[Path | None, typer.Option(help="Where to save the model.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as one JSON object on stdout.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Train a network, test it on rows it has not seen, and save it."""
    rows = data.load_dataset(source, target=target, task=task, test_fraction=test, seed=seed, dtype=dtype)
    path = output or Path(f"fastnn-{rows.name}.safetensors")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path.parent)!r} to save the model in.")
    loss_name = loss or ("mse" if rows.classes is None else "cross_entropy")
    _checks.check_name("loss", loss_name, LOSSES)
    if (rows.classes is None) != Loss(loss_name).is_regression:
        kind = "regression" if rows.classes is None else "classification"
        raise ValueError(f"--loss {loss_name} does not go with a {kind}.")

    scaler = _checks.require("sklearn.preprocessing", "sklearn").StandardScaler
    inputs = scaler().fit(rows.x_train)
    x_train, x_test = inputs.transform(rows.x_train), inputs.transform(rows.x_test)
    y_train, y_test = rows.y_train, rows.y_test
    metadata = {
        "data": rows.name,
        "input_mean": inputs.mean_.tolist(),
        "input_scale": inputs.scale_.tolist(),
    }
    if rows.classes is None:
        y_train, y_test = (y.reshape(len(y), -1) for y in (y_train, y_test))
        outputs = scaler().fit(y_train)
        y_train, y_test = outputs.transform(y_train), outputs.transform(y_test)
        metadata |= {"output_mean": outputs.mean_.tolist(), "output_scale": outputs.scale_.tolist()}
        n_out = y_train.shape[1]
    else:
        metadata["classes"] = rows.classes.tolist()
        n_out = len(rows.classes)
        if loss_name == "binary_cross_entropy":
            if n_out != 2:
                raise ValueError(f"--loss {loss_name} needs 2 classes, but the target has {n_out}.")
            n_out = 1

    sizes = [x_train.shape[1], *_hidden_sizes(hidden), n_out]
    weights_seed, order_seed = np.random.SeedSequence(seed).spawn(2)
    net = MLP(sizes, activation, dtype=dtype, seed=np.random.default_rng(weights_seed))
    trainer = Trainer(
        net,
        loss=loss_name,
        optimizer=_make_optimizer(optimizer, lr, momentum, nesterov),
        batch_size=batch_size or None,
        l2=l2,
        seed=np.random.default_rng(order_seed),
        n_threads=threads,
    )
    _say(
        f"{rows.name}: {len(x_train):,} rows to train on, {len(x_test):,} to test with; network "
        f"{'-'.join(map(str, sizes))} ({net.n_params:,} parameters), {loss_name}"
    )
    started = time.perf_counter()
    history = trainer.fit(
        x_train,
        y_train,
        epochs=epochs,
        validation_fraction=validation or None,
        early_stopping=EarlyStopping(patience=patience) if patience else None,
        verbose=int(not quiet),
    )
    seconds = time.perf_counter() - started
    if not len(history):
        _say("Interrupted before the first epoch ended: nothing is saved.")
        raise typer.Exit(INTERRUPTED)
    net.metadata = metadata
    net.save(path)

    scores = trainer.evaluate(x_test, y_test)
    metric = history.metric_name
    last = history.epochs[-1]
    ending = "" if history.stop_reason == "epochs" else f" ({history.stop_reason})"
    _say(f"test {metric} {scores[metric]:.4f} after {len(history)} epochs{ending}")
    _say(f"model saved to {path}")
    if as_json:
        trained = sum(epoch.seconds for epoch in history.epochs)
        result = {
            f"test_{metric}": scores[metric],
            "test_cost": scores["cost"],
            "train_loss": last.cost,
            f"train_{metric}": last.metric,
            "epochs": len(history),
            "stop_reason": history.stop_reason,
            "seconds": seconds,
            "samples_per_second": trainer.n_rows * len(history) / trained,
            "parameters": net.n_params,
            "seed": seed,
            "model": str(path),
        }
        print(json.dumps(result))
    if history.stop_reason == "interrupted":
        raise typer.Exit(INTERRUPTED)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what fastnn finds on this machine, and how fast its cores can be at most.

    The peak is measured: multiply-adds in registers, on one core and on all that may be used.
    """
    from rich.console import Console
    from rich.table import Table

    from . import machine

    facts = machine.describe()
    for dtype in ("float32", "float64"):
        for n_threads in sorted({1, facts["usable_cores"]}):
            name = f"peak_gflops_{dtype}_{n_threads}_thread{'s' * (n_threads > 1)}"
            facts[name] = round(machine.peak_gflops(dtype, n_threads), 1)
    warnings_found = machine.advice(facts)
    if as_json:
        print(json.dumps(facts | {"advice": warnings_found}))
        return
    table = Table(show_header=False, box=None)
    table.add_column()
    table.add_column(overflow="fold")  # a path that is cut off helps nobody
    for name, value in facts.items():
        text = ", ".join(value) if isinstance(value, list) else str(value)
        table.add_row(name.replace("_", " "), text)
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    for sentence in warnings_found:
        console.print(f"[bold yellow]warning[/] {sentence}")
    if not warnings_found:
        console.print("[green]Nothing stands in the way of fast training here.[/]")


def main() -> None:
    """Run the command line; a user's error is one line on stderr and exit code 1."""
    warnings.showwarning = lambda message, *_: _say(f"Warning: {message}")
    try:
        app()
    except (ValueError, TypeError, OSError, ImportError, DivergenceError) as error:
        _say(f"Error: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
