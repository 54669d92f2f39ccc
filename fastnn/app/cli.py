"""The command line, ``fastnn``: one function for each command."""

from __future__ import annotations

import functools
import importlib.util
import json
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from .. import _checks
from .._version import __version__

_checks.require("typer", "all")

import typer  # noqa: E402

from ..training.loop import DivergenceError  # noqa: E402
from ..training.progress import announced  # noqa: E402
from ..training.trainer import Trainer  # noqa: E402
from . import words  # noqa: E402
from .config import make_config, to_toml, unpacking  # noqa: E402
from .flags import (  # noqa: E402
    AsJson,
    ConfigFile,
    ModelArgument,
    Quiet,
    RunArgument,
    Source,
    configuration,
    given_settings,
    with_reading_flags,
    with_setting_flags,
)

if TYPE_CHECKING:
    from ..model import Model
    from .preparation import Prepared

app = typer.Typer(
    name="fastnn",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

INTERRUPTED = 130  # exit code that shells expect after Ctrl-C


def main() -> None:
    """Run the command line; a user's error is one line on stderr and exit code 1, unless --debug is given."""
    warnings.showwarning = lambda message, *_: words.print_status(f"Warning: {message}")
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]  # wherever it stands
    debug = len(arguments) < len(sys.argv) - 1
    try:
        app(arguments, prog_name="fastnn")  # the name to complete, also under python -m
    except KeyboardInterrupt:
        if debug:
            raise
        words.print_status("Interrupted.")
        sys.exit(INTERRUPTED)
    except (ValueError, TypeError, OSError, ImportError, DivergenceError) as error:
        if debug:
            raise
        words.print_status(f"Error: {words.error_sentence(error)}")
        sys.exit(1)


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


# --- training -----------------------------------------------------------------------------------------

TRAIN_EXAMPLES = """[bold]Examples[/]

fastnn train digits

fastnn train flowers.csv --target species --hidden 64,32 --epochs 50

fastnn train houses.parquet --target price --columns zip=category --patience 10 --schedule cosine

fastnn train photos/ --image-size 32 --dropout 0.2

fastnn train --resume runs/houses-1 --epochs 100
"""


@app.command(epilog=TRAIN_EXAMPLES)
@with_setting_flags
def train(
    *,
    source: Source = None,
    config: ConfigFile = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the run; by default runs/NAME-N.")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Folder of a run to continue: one that was interrupted, or for more --epochs."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show what would be done with each column, and why; train and write nothing."
        ),
    ] = False,
    report: Annotated[bool, typer.Option("--report", help="Also write the report.")] = False,
    pictures: Annotated[bool, typer.Option(help="Draw the run's pictures.")] = True,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write logs for TensorBoard.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    live: Annotated[bool, typer.Option("--live", help="Show a table of the epochs while training.")] = False,
    settings: dict[str, Any],
) -> None:
    """Train a network, test it on rows it has not seen, and keep everything in a folder."""
    from . import workflow
    from .runs import Run

    before = None
    if resume is None:
        chosen = configuration(source, config, settings)
    elif source is not None or config is not None or output is not None:
        raise ValueError("--resume names the run: leave out SOURCE, --config and --output.")
    else:
        output, unfinished = resume, Run(resume)
        chosen, before = make_config(**unfinished.config.model_dump() | settings), unfinished.history_text
    if dry_run:
        words.print_plan(*workflow.plan(chosen), as_json=as_json, quiet=quiet)
        return
    started = time.perf_counter()
    run, history = workflow.train(
        chosen,
        output,
        resume=resume is not None,
        tensorboard=tensorboard,
        verbose=0 if quiet else 2 if live else 1,
        begin=functools.partial(_introduce, quiet=quiet),
    )
    seconds = time.perf_counter() - started
    if not len(history):
        words.print_status(words.resume_sentence("Interrupted in the first epoch", run.folder))
        raise typer.Exit(INTERRUPTED)
    if before == run.history_text:
        words.print_status(f"All {len(history)} epochs are done already: set --epochs higher to continue.")
    if pictures and importlib.util.find_spec("matplotlib") is not None:
        from ..plots.run import save_pictures

        save_pictures(run.folder)
    if report:
        from .report import write_report

        words.print_status(f"report: {write_report(run.folder)}")
    words.print_status(words.test_sentence(run.summary["test"], history))
    words.print_status(f"model, history and predictions of the test rows: {run.folder}")
    if as_json:
        print(json.dumps(words.result(run, history, seconds)))
    if history.stop_reason == "interrupted":
        words.print_status(words.resume_sentence("Interrupted", run.folder))
        raise typer.Exit(INTERRUPTED)


def _introduce(prepared: Prepared, trainer: Trainer, quiet: bool) -> None:
    """Say what is about to be trained on what, and how each column is read."""
    words.print_status(words.plan_sentence(prepared, trainer))
    columns = prepared.encoder.describe()
    if prepared.dataset.kind == "table" and not quiet and len(columns) <= words.MOST_COLUMNS:
        names = ("column", "kind", "encoding", "missing", "distinct")
        words.print_columns(columns, *names, stderr=True)
    _print_notes(prepared.notes)


def _print_notes(notes: list[str]) -> None:
    for note in notes:
        words.print_status(f"Note: {note}")


@app.command(epilog="Example: fastnn tune flowers.csv --target species --trials 50 --storage flowers.sqlite")
@with_setting_flags
def tune(
    *,
    source: Source = None,
    config: ConfigFile = None,
    trials: Annotated[int, typer.Option(help="Number of settings to try in all.")] = 50,
    minutes: Annotated[float | None, typer.Option(help="Stop after this time.")] = None,
    storage: Annotated[
        Path | None, typer.Option(help="An SQLite file of the trials; with it, a search can be continued.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the best settings.")] = Path(
        "tuned.toml"
    ),
    jobs: Annotated[int, typer.Option(help="Trials that run at the same time.")] = 1,
    as_json: AsJson = False,
    quiet: Quiet = False,
    settings: dict[str, Any],
) -> None:
    """Search for the settings with the lowest cost of the validation rows; the test rows are not used.

    Settings that are given, as flags or in a file, are not searched. To train with what was found: fastnn
    train --config tuned.toml
    """
    from ..network.files import write_atomically
    from .search import search

    if not output.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(output.parent)!r} to write the settings in.")
    given = given_settings(config, settings)
    result, found = search(
        configuration(source, config, settings),
        fixed=given,
        n_trials=trials,
        timeout=None if minutes is None else 60 * minutes,
        storage=storage,
        n_jobs=jobs,
        verbose=int(not quiet),
    )
    write_atomically(output, to_toml(found).encode())
    words.print_status(
        f"validation cost {result.score:.4f} after {len(result.trials)} trials; with default settings "
        f"{result.default.score:.4f}"
    )
    words.print_status(f"settings in {output}: fastnn train --config {output}")
    if as_json:
        print(
            json.dumps({"score": result.score, "default": result.default.score, "settings": result.settings})
        )


# --- runs and models ----------------------------------------------------------------------------------


@app.command(
    epilog="Examples: fastnn predict runs/flowers-1 new.csv -o answers.csv --proba; "
    "cat new.csv | fastnn predict runs/flowers-1 -"
)
@with_reading_flags
def predict(
    *,
    model: ModelArgument,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Rows like those of the training; - for CSV on stdin.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .csv or .parquet file; by default stdout.")
    ] = None,
    proba: Annotated[bool, typer.Option("--proba", help="Add the probability of each class.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Add the input: a table's columns, an image's file, or a text.")
    ] = False,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw",
            help="In CSV, leave text that begins with = + - or @ as it is. By default an apostrophe before "
            "it keeps a spreadsheet from running it as a formula; fastnn reads it without.",
        ),
    ] = False,
    settings: dict[str, Any],
) -> None:
    """Predict the rows of a file."""
    from ..data.kinds import read_source
    from ..data.tables.spreadsheets import to_csv
    from ..model import Model
    from . import prediction
    from .runs import source_config

    loaded = Model.load(model)
    config = source_config(model, source, settings)
    with unpacking(config), announced(f"reading and predicting {source} ..."):
        data = read_source(source, kind=loaded.encoder.kind, labelled=False, reading=config.reading)
        _print_notes(data.notes)  # they may explain what predictions refuse
        frame = prediction.predict_data(loaded, data, proba=proba, keep=keep)
    _warn_of_unseen(loaded)
    if output is None:
        sys.stdout.write(to_csv(frame, raw=raw))
    else:
        prediction.write_table(frame, output, raw=raw)
        words.print_status(f"{len(frame):,} rows in {output}")


@app.command(epilog="Example: fastnn evaluate runs/flowers-1 flowers-of-2025.csv")
@with_reading_flags
def evaluate(
    *,
    model: ModelArgument,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Rows whose truth is known.")],
    target: Annotated[
        str | None, typer.Option(help="Column of the truth; by default named as in training.")
    ] = None,
    as_json: AsJson = False,
    settings: dict[str, Any],
) -> None:
    """Score a model on rows whose truth is known, with 95 % intervals."""
    from ..data.kinds import read_source
    from ..model import Model
    from .runs import source_config

    loaded = Model.load(model)
    config = source_config(model, source, settings)
    kind = loaded.encoder.kind
    truth = (target or loaded.target.name) if kind == "table" else None
    with unpacking(config), announced(f"reading and predicting {source} ..."):
        data = read_source(source, target=truth, kind=kind, reading=config.reading)
        _print_notes(data.notes)
        scores = loaded.evaluate(*(data.test or (data.rows, data.y)))
    _warn_of_unseen(loaded)
    if as_json:
        print(json.dumps(scores))
    else:
        words.print_content(words.scores_table(scores))


@app.command()
def plot(run: RunArgument) -> None:
    """Draw a run's pictures again, into its folder pictures/."""
    from ..plots.run import save_pictures
    from .runs import finished_run

    for path in save_pictures(finished_run(run).folder):
        print(path)


@app.command()
def report(
    run: RunArgument,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="By default RUN/report.html.")] = None,
) -> None:
    """Write a report of a run, one HTML file: scores, mistakes, data, network, curves, reproduction."""
    from .report import write_report
    from .runs import finished_run

    print(write_report(finished_run(run).folder, output))


@app.command(epilog="Example: fastnn export runs/flowers-1 flowers.onnx")
def export(
    model: ModelArgument,
    output: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A file to write, by its ending for ONNX Runtime (.onnx) or for PyTorch (.safetensors, with "
            "the names of nn.Sequential).",
        ),
    ],
    preprocessing: Annotated[
        bool, typer.Option(help="Let an ONNX file take raw rows, not the network's features.")
    ] = True,
) -> None:
    """Write a model for ONNX Runtime or PyTorch."""
    from ..exchange.onnx_export import to_onnx
    from ..exchange.torch_weights import save_torch
    from ..model import Model

    _checks.check_name("the ending of FILE", output.suffix, (".onnx", ".safetensors"))
    loaded = Model.load(model)
    if output.suffix == ".onnx":
        to_onnx(loaded, output, preprocessing=preprocessing)
    else:
        save_torch(loaded.net, output)
    words.print_status(f"written to {output}")


def _warn_of_unseen(model: Model) -> None:
    if sentence := model.encoder.unseen_summary():
        words.print_status(sentence)


# --- the machine --------------------------------------------------------------------------------------


@app.command(epilog="Example: fastnn bench 784-512-512-10 --batch-size 128 --peers sklearn,torch")
def bench(
    network: Annotated[
        str, typer.Argument(metavar="SIZES", help="Widths of the layers, as in 784-512-10.")
    ] = "64-128-64-10",
    batch_size: Annotated[int, typer.Option(help="Rows per step.")] = 64,
    optimizer: Annotated[str, typer.Option(help="Name of an optimiser.")] = "adam",
    dtype: Annotated[
        str, typer.Option(help=f"Number format of the network: {', '.join(_checks.DTYPES)}.")
    ] = "float32",
    threads: Annotated[int | None, typer.Option(help="Threads to use; by default all usable cores.")] = None,
    seconds: Annotated[float, typer.Option(help="Time to measure each library.")] = 2.0,
    peers: Annotated[
        str, typer.Option(help="Libraries to compare with where they are installed: sklearn,torch.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Measure how fast a network trains on this machine, alone or beside other libraries."""
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
        words.print_content(table(result), wrap=False)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Show what fastnn finds on this machine, and the peak rate of its cores.

    The peak is measured: multiply-adds in registers, on one core and on all usable ones.
    """
    from . import machine

    facts = machine.describe() | machine.peaks()
    advice = machine.advice(facts)
    if as_json:
        print(json.dumps(facts | {"advice": advice}))
        return
    words.print_content(words.facts_table(facts), wrap=False)
    for sentence in advice:
        words.print_content(f"Warning: {sentence}", wrap=False, style="yellow")
    if not advice:
        words.print_content("Nothing slows training down here.", wrap=False, style="green")


if __name__ == "__main__":
    main()
