"""The command line, ``fastnn``."""

from __future__ import annotations

import functools
import inspect
import json
import sys
import time
import typing
import warnings
from pathlib import Path
from typing import Annotated, Any

from .. import _checks
from .._version import __version__

typer = _checks.require("typer", "all")

from ..training.loop import DivergenceError  # noqa: E402
from .config import Config, make_config, read_config  # noqa: E402

app = typer.Typer(
    name="fastnn",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

MOST_COLUMNS = 40  # are shown; the report has them all
INTERRUPTED = 130  # what a shell expects of a program that Ctrl-C ended

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")]
ModelArgument = Annotated[
    Path, typer.Argument(metavar="MODEL", help="Folder of a run, or a model file that fastnn wrote.")
]
Target = Annotated[str | None, typer.Option(help="Column with the truth; by default as in training.")]


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the code an error arose.")] = False,
) -> None:
    """Train multilayer perceptrons on a CPU, fast.

    From a file to a model: fastnn train flowers.csv --target species, then fastnn report runs/flowers-1 and
    fastnn predict runs/flowers-1 new.csv.
    """


# --- settings as flags -------------------------------------------------------------------------------


def _with_settings(command):
    """Give a command a flag for each field of the configuration but its source, passed on as `settings`."""
    flags = []
    for name, field in Config.model_fields.items():
        if name == "source":
            continue
        default = field.get_default()
        kinds = {field.annotation, *typing.get_args(field.annotation)}
        is_plain = not isinstance(default, (list, dict))
        kind = next((kind for kind in (bool, int, float) if is_plain and kind in kinds), str)
        shown = ",".join(map(str, default)) if isinstance(default, list) else default
        # None tells that a flag was not given; what then holds is in the text.
        text = "" if shown in (None, "", {}) or shown is False else f" [dim]\\[default: {shown}][/]"
        option = typer.Option(
            help=f"{field.description}{text}",
            rich_help_panel=field.json_schema_extra["panel"],
            show_default=False,
            metavar="COLUMN=KIND" if isinstance(default, dict) else None,
        )
        annotation = Annotated[(list[str] if isinstance(default, dict) else kind) | None, option]
        flags.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        )
    own = [
        parameter.replace(annotation=annotation)
        for parameter, annotation in zip(
            inspect.signature(command).parameters.values(),
            typing.get_type_hints(command, include_extras=True).values(),
            strict=False,
        )
        if parameter.name != "settings"
    ]

    def run(**arguments: Any) -> None:
        names = [flag.name for flag in flags]
        given = {name: arguments.pop(name) for name in names}
        command(**arguments, settings={name: value for name, value in given.items() if value is not None})

    run.__doc__ = command.__doc__
    run.__name__ = command.__name__
    run.__signature__ = inspect.Signature(
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + flags
    )
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *flags]}
    return run


def _configure(source: str | None, file: Path | None, settings: dict[str, Any]) -> Config:
    """Flags over what a file says over defaults."""
    values = {} if file is None else read_config(file)
    return make_config(**values | settings | ({} if source is None else {"source": source}))


Source = Annotated[
    str | None,
    typer.Argument(
        metavar="[SOURCE]",
        help="A name (digits, iris, wine, breast_cancer, diabetes, linnerud); a table (.csv, .tsv, .parquet, "
        ".feather, .xlsx, ...); a .npz with x and y; a folder with the IDX files of MNIST, with a folder of "
        "images or texts for each class, or with Parquet files.",
    ),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="A .toml or .yaml file with settings; flags go before it.")
]
EXAMPLES = """[bold]Examples[/]

fastnn train digits

fastnn train flowers.csv --target species --hidden 64,32 --epochs 50

fastnn train houses.parquet --target price --columns zip=category --patience 10 --schedule cosine

fastnn train photos/ --image-size 32 --dropout 0.2

fastnn train --resume runs/houses-1 --epochs 100
"""


@app.command(epilog=EXAMPLES)
@_with_settings
def train(
    *,
    source: Source = None,
    config: ConfigFile = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the run; by default runs/NAME-N.")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Folder of a run that was broken off, or that is to go on for more --epochs."),
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="Also write the report.")] = False,
    pictures: Annotated[bool, typer.Option(help="Whether to draw the run's pictures.")] = True,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write TensorBoard's logs.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    live: Annotated[bool, typer.Option("--live", help="Show a table of the epochs while training.")] = False,
    settings: dict[str, Any],
) -> None:
    """Train a network, test it on rows it has not seen, and keep all of it in a folder."""
    from . import runs

    if resume is not None:
        if source is not None or config is not None or output is not None:
            raise ValueError("--resume names the run: leave out SOURCE, --config and --output.")
        values = runs.Run(resume).config.model_dump() | settings
        configuration, output = make_config(**values), resume
    else:
        configuration = _configure(source, config, settings)
    known = resume and resume / runs.HISTORY
    before = known.read_bytes() if known and known.is_file() else None
    started = time.perf_counter()
    run, history = runs.train(
        configuration,
        output,
        resume=resume is not None,
        tensorboard=tensorboard,
        verbose=0 if quiet else 2 if live else 1,
        begin=functools.partial(_introduce, quiet=quiet),
    )
    seconds = time.perf_counter() - started
    if not len(history):
        _say(f"Interrupted before the first epoch ended: fastnn train --resume {run.folder} goes on.")
        raise typer.Exit(INTERRUPTED)
    if before == (run.folder / runs.HISTORY).read_bytes():
        _say(f"Nothing was left to train: for more than {len(history)} epochs say --epochs.")
    if pictures and _has("matplotlib"):
        from ..plots.run import save_pictures

        save_pictures(run.folder)
    if report:
        from .report import write_report

        _say(f"report: {write_report(run.folder)}")
    scores, last = run.summary["test"], history.epochs[-1]
    ending = "" if history.stop_reason == "epochs" else f" ({history.stop_reason})"
    metric = history.metric_name
    score = scores[metric]
    _say(
        f"test {metric} {score['value']:.4f} (95 % interval {score['low']:.4f} to {score['high']:.4f}) after "
        f"{len(history)} epoch{'s' * (len(history) != 1)}{ending}"
    )
    _say(f"model, history, pictures and predictions: {run.folder}")
    if as_json:
        result = {
            **{f"test_{name}": figures["value"] for name, figures in scores.items()},
            "train_loss": last.cost,
            f"train_{metric}": last.metric,
            "epochs": len(history),
            "stop_reason": history.stop_reason,
            "seconds": seconds,
            "samples_per_second": run.summary["training"]["samples_per_second"],
            "parameters": run.summary["network"]["n_params"],
            "seed": run.config.seed,
            "run": str(run.folder),
            "model": str(run.folder / runs.MODEL),
        }
        print(json.dumps(result))
    if history.stop_reason == "interrupted":
        _say(f"It was interrupted: fastnn train --resume {run.folder} goes on.")
        raise typer.Exit(INTERRUPTED)


def _introduce(prepared, trainer, quiet: bool) -> None:
    """Say what is about to be trained on what, and what was made of each column."""
    train, validation, net = prepared.train, prepared.validation, trainer.net
    between = "" if validation is None else f", {validation.n:,} to validate on"
    _say(
        f"{prepared.dataset.name}: {train.n:,} rows to train on{between}, {prepared.test.n:,} to test with; "
        f"network {'-'.join(map(str, net.sizes))} ({net.n_params:,} parameters), {trainer.settings.loss.name}"
    )
    columns = prepared.encoder.describe()
    if prepared.dataset.kind == "table" and not quiet and len(columns) <= MOST_COLUMNS:
        table, console = _table("column", "taken for", "encoding", "missing", "distinct", stderr=True)
        for column in columns:
            names = ("column", "kind", "encoding", "missing", "distinct")
            table.add_row(*(str(column.get(name, "")) for name in names))
        console.print(table)
    for note in prepared.notes:
        _say(f"Note: {note}")


def _has(module: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(module) is not None


# --- using a model -----------------------------------------------------------------------------------


def _load(path: Path):
    from ..model import Model
    from .runs import MODEL

    _refuse_unfinished(path)
    return Model.load(path / MODEL if path.is_dir() else path)


def _refuse_unfinished(run: Path) -> None:
    from .runs import CONFIG, MODEL

    if (run / CONFIG).is_file() and not (run / MODEL).exists():
        raise FileNotFoundError(
            f"the run {str(run)!r} was broken off and has no model yet: fastnn train --resume {run} goes on."
        )


@app.command(
    epilog="Examples: fastnn predict runs/flowers-1 new.csv -o answers.csv --proba; "
    "cat new.csv | fastnn predict runs/flowers-1 -"
)
def predict(
    model: ModelArgument,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Rows of the kind it was trained on; - for CSV on stdin.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .csv or .parquet file; by default stdout.")
    ] = None,
    proba: Annotated[
        bool, typer.Option("--proba", help="Also a column for each class's probability.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Also the input: a table's columns, an image's file, or a text.")
    ] = False,
) -> None:
    """Predict the rows of a file."""
    from ..data import read_source

    loaded = _load(model)
    rows = read_source(source, kind=loaded.encoder.kind, labelled=False).rows
    frame = loaded.predict_frame(rows, proba=proba)
    _warn_of_unseen(loaded.encoder)
    if keep:
        frame = _as_columns(rows, loaded.encoder.kind).join(frame, rsuffix="_of_model")
    _write_table(frame, output)


def _as_columns(rows, kind: str):
    """The input as columns: those of a table, the paths of images, or texts."""
    import pandas

    if kind == "table":
        return rows.reset_index(drop=True)
    if not isinstance(rows, list):
        raise ValueError("--keep is for tables, texts and image files: other rows have no columns.")
    return pandas.DataFrame({"file" if kind == "images" else "text": list(map(str, rows))})


def _warn_of_unseen(encoder) -> None:
    unseen = getattr(encoder, "unseen", None)
    if isinstance(unseen, dict):
        unseen = ", ".join(f"{count:,} in {column!r}" for column, count in unseen.items() if count)
    if unseen:
        _say(f"Warning: values that training had not seen: {unseen}.")


def _write_table(frame, output: Path | None) -> None:
    from ..network.files import write_atomically

    if output is None:
        sys.stdout.write(frame.to_csv(index=False))
        return
    if output.suffix not in (".csv", ".parquet"):
        raise ValueError(f"--output has the ending {output.suffix!r}: expected .csv or .parquet.")
    content = (
        frame.to_parquet(index=False) if output.suffix == ".parquet" else frame.to_csv(index=False).encode()
    )
    write_atomically(output, content)
    _say(f"{len(frame):,} rows in {output}")


@app.command(epilog="Example: fastnn evaluate runs/flowers-1 flowers-of-2025.csv")
def evaluate(
    model: ModelArgument,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Rows with the truth.")],
    target: Target = None,
    as_json: AsJson = False,
) -> None:
    """Score a model on rows whose truth is known, with 95 % intervals."""
    from ..data import read_source

    loaded = _load(model)
    kind = loaded.encoder.kind
    name = (target or loaded.target.name) if kind == "table" else None
    data = read_source(source, target=name, kind=kind)
    rows, y = (data.rows, data.y) if data.test is None else data.test
    scores = loaded.evaluate(rows, y)
    _warn_of_unseen(loaded.encoder)
    if as_json:
        print(json.dumps(scores))
        return
    table, console = _table("score", "value", "low", "high")
    for name, score in scores.items():
        table.add_row(name, *(f"{score[key]:.4f}" for key in ("value", "low", "high")))
    console.print(table)


_WORDS = ("taken for", "encoding")  # columns of text


def _table(*columns: str, stderr: bool = False):
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for k, name in enumerate(columns):
        table.add_column(name, justify="right" if k and name not in _WORDS else "left")
    return table, Console(stderr=stderr, highlight=False)


@app.command()
def plot(run: RunArgument) -> None:
    """Draw a run's pictures anew, into its folder pictures/."""
    from ..plots.run import save_pictures
    from .runs import Run

    _refuse_unfinished(run)
    for path in save_pictures(Run(run).folder):
        print(path)


@app.command()
def report(
    run: RunArgument,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="By default RUN/report.html.")] = None,
) -> None:
    """Write one HTML file that tells all of a run: data, network, curves, scores, mistakes, reproduction."""
    from .report import write_report
    from .runs import Run

    _refuse_unfinished(run)
    print(write_report(Run(run).folder, output))


@app.command(epilog="Example: fastnn export runs/flowers-1 flowers.onnx")
def export(
    model: ModelArgument,
    output: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Its ending says what to write: .onnx; .safetensors, weights as PyTorch's nn.Sequential "
            "names them.",
        ),
    ],
    preprocessing: Annotated[
        bool, typer.Option(help="Whether an ONNX file takes raw rows, or what the network takes.")
    ] = True,
) -> None:
    """Write a model for ONNX Runtime or PyTorch."""
    from .. import exchange

    _checks.check_name("the ending of FILE", output.suffix, (".onnx", ".safetensors"))
    loaded = _load(model)
    if output.suffix == ".onnx":
        exchange.to_onnx(loaded, output, preprocessing=preprocessing)
    else:
        exchange.save_torch(loaded.net, output)
    _say(f"written to {output}")


@app.command(epilog="Example: fastnn tune flowers.csv --target species --trials 50 --storage flowers.sqlite")
@_with_settings
def tune(
    *,
    source: Source = None,
    config: ConfigFile = None,
    trials: Annotated[int, typer.Option(help="How many settings to try in all.")] = 50,
    minutes: Annotated[float | None, typer.Option(help="Stop after so long.")] = None,
    storage: Annotated[
        Path | None, typer.Option(help="An SQLite file to keep trials in; called again, the search goes on.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the best settings.")] = Path(
        "tuned.toml"
    ),
    jobs: Annotated[int, typer.Option(help="Trials at once.")] = 1,
    as_json: AsJson = False,
    quiet: Quiet = False,
    settings: dict[str, Any],
) -> None:
    """Search for the settings with the lowest cost of validation rows; test rows are not looked at.

    Settings that are given as flags are not searched. Then train with what was found: fastnn train --config
    tuned.toml
    """
    from ..network.files import write_atomically
    from .config import to_toml
    from .preparation import search

    if not output.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(output.parent)!r} to write the settings in.")
    fixed = {*settings, *([] if config is None else read_config(config))}
    result, found = search(
        _configure(source, config, settings),
        fixed=fixed,
        n_trials=trials,
        timeout=None if minutes is None else 60 * minutes,
        storage=storage,
        n_jobs=jobs,
        verbose=int(not quiet),
    )
    write_atomically(output, to_toml(found).encode())
    _say(
        f"validation cost {result.score:.4f} (with default settings {result.default.score:.4f}) after "
        f"{len(result.trials)} trials"
    )
    _say(f"settings in {output}: fastnn train --config {output}")
    if as_json:
        print(
            json.dumps({"score": result.score, "default": result.default.score, "settings": result.settings})
        )


@app.command(epilog="Example: fastnn bench 784-512-512-10 --batch-size 128 --peers sklearn,torch")
def bench(
    network: Annotated[
        str, typer.Argument(metavar="[SIZES]", help="Widths of the layers, as in 784-512-10.")
    ] = "64-128-64-10",
    batch_size: Annotated[int, typer.Option(help="Rows a step.")] = 64,
    optimizer: Annotated[str, typer.Option(help="By name.")] = "adam",
    dtype: Annotated[str, typer.Option(help=", ".join(_checks.DTYPES))] = "float32",
    threads: Annotated[int | None, typer.Option(help="By default all usable cores.")] = None,
    seconds: Annotated[float, typer.Option(help="To measure, for each library.")] = 2.0,
    peers: Annotated[str, typer.Option(help="To compare with, if installed: sklearn,torch.")] = "",
    as_json: AsJson = False,
) -> None:
    """Measure how fast a network trains on this machine, also beside other libraries."""
    from rich.console import Console

    from .bench import measure, table

    try:
        sizes = [int(size) for size in network.split("-")]
    except ValueError:
        raise ValueError(f"SIZES must be widths such as 784-512-10, got {network!r}.") from None
    result = measure(
        sizes,
        batch_size,
        optimizer=optimizer,
        dtype=dtype,
        n_threads=threads,
        seconds=seconds,
        peers=[name for name in peers.split(",") if name],
    )
    if as_json:
        print(json.dumps(result))
    else:
        Console(soft_wrap=True, highlight=False).print(table(result))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Show what fastnn finds on this machine, and how fast its cores can be at most.

    The peak is measured: multiply-adds in registers, on one core and on all that may be used.
    """
    from rich.console import Console
    from rich.table import Table

    from . import machine

    facts = machine.describe()
    for dtype in _checks.DTYPES:
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
    """Run the command line; a user's error is one line on stderr and exit code 1, unless --debug is given."""
    warnings.showwarning = lambda message, *_: _say(f"Warning: {message}")
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]  # wherever it stands
    debug = len(arguments) < len(sys.argv) - 1
    try:
        app(arguments, prog_name="fastnn")  # what completion is for, also where it is called as a module
    except KeyboardInterrupt:
        if debug:
            raise
        _say("Interrupted.")
        sys.exit(INTERRUPTED)
    except (ValueError, TypeError, OSError, ImportError, DivergenceError) as error:
        if debug:
            raise
        _say(f"Error: {_in_words(error)}")
        sys.exit(1)


def _in_words(error: Exception) -> str:
    """One sentence, also of what the system refuses, without its numbers."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{str(error.filename)!r} cannot be read or written: {error.strerror}."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}."
    return " ".join(str(error).split())


if __name__ == "__main__":
    main()
