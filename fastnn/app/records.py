"""Records of a run's training: model, history, summary, test predictions and the worst of them."""

from __future__ import annotations

import base64
import io
import platform
from datetime import datetime, timezone
from typing import Any

import numba
import numpy as np

from .. import _checks
from .._threads import usable_cores
from .._version import __version__
from ..data.tables.spreadsheets import to_csv
from ..evaluation import worst_rows
from ..history import History
from ..model import Model
from ..training.trainer import Trainer
from . import machine
from .config import to_command
from .model_card import write_model_card
from .preparation import Part, Prepared
from .runs import HISTORY, SUMMARY, TEST, WORST, Run

_N_WORST = 20
_MOST_CHARACTERS = 2000  # of a text that is shown
_MOST_PIXELS = (256, 256)  # of an image that is shown


def record_model(run: Run, model: Model, history: History) -> None:
    """Write the model and its history."""
    model.save(run.model_file)
    content = {
        "metric_name": history.metric_name,
        "best_epoch": history.best_epoch,
        "stop_reason": history.stop_reason,
        "columns": history.to_dict(),
    }
    run.write_json(HISTORY, content)


def record(run: Run, prepared: Prepared, model: Model, trainer: Trainer, seconds: float) -> None:
    """Write the model of a finished training, and the facts on data, training and test."""
    record_model(run, model, trainer.history)
    scores = _record_test(run, prepared, model, trainer)
    summary = {
        "name": prepared.dataset.name,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "fastnn": __version__,
        "command": to_command(run.config),
        "seed": run.config.seed,
        "data": {"source": run.config.source, **prepared.describe()},
        "network": {
            "summary": model.net.summary(),
            "n_params": model.net.n_params,
            "sizes": model.net.sizes,
            "activations": [activation.name for activation in model.net.activations],
            "output": model.net.output,
        },
        "training": _training_facts(run, trainer, seconds),
        "test": scores,
        "machine": {
            "cpu": machine.cpu_name(),
            "usable_cores": usable_cores(),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "numba": numba.__version__,
            "numpy": np.__version__,
        },
    }
    run.write_json(SUMMARY, summary)
    run.__dict__.pop("summary", None)  # read it again
    write_model_card(run.folder)


def _training_facts(run: Run, trainer: Trainer, seconds: float) -> dict[str, Any]:
    config, history = run.config, trainer.history
    return {
        "loss": trainer.settings.loss.name,
        "optimizer": repr(trainer.settings.optimizer),
        "schedule": config.schedule or "constant",
        "batch_size": config.batch_size,
        "l2": config.l2,
        "epochs": len(history),
        "best_epoch": history.best_epoch,
        "stop_reason": history.stop_reason,
        "seconds": seconds,
        "samples_per_second": trainer.n_rows * len(history) / sum(epoch.seconds for epoch in history.epochs),
    }


def _record_test(run: Run, prepared: Prepared, model: Model, trainer: Trainer) -> dict[str, Any]:
    """Write the prediction of each test row, and the worst rows as a person reads them; return the scores."""
    pandas = _checks.require("pandas", "tables")
    test = prepared.test
    outputs = model.net.predict_raw(test.x)
    losses = trainer.losses(test.x, test.y)
    columns = model.columns(outputs)
    predictions = {name: values for name, values in columns.items() if name.startswith("prediction")}
    truth = model.target.read(test.labels).reshape(test.n, -1)
    truths = {name.replace("prediction", "truth", 1): truth[:, k] for k, name in enumerate(predictions)}
    frame = pandas.DataFrame({"row": test.numbers} | truths | columns | {"loss": losses})
    run.write(TEST, to_csv(frame))

    worst = []
    for r in map(int, worst_rows(losses, _N_WORST)):
        entry = {
            "row": test.numbers[r],
            "loss": losses[r],
            "truth": ", ".join(str(values[r]) for values in truths.values()),
            "prediction": ", ".join(str(values[r]) for values in predictions.values()),
        }
        if model.gives_probabilities:
            entry["probability"] = model.probabilities(outputs[r : r + 1]).max()
        worst.append(entry | row_for_people(prepared, test, r))
    run.write_json(WORST, worst)
    return model.scores(outputs, test.labels)


def row_for_people(prepared: Prepared, part: Part, r: int) -> dict[str, Any]:
    """Return row `r` of a part as a person looks at it: its "values", its "text" or its "image"."""
    kind, rows = prepared.dataset.kind, part.rows
    if kind == "table":
        return {"values": {str(name): str(value) for name, value in rows.iloc[r].items()}}
    row = rows[r]
    if kind == "text":
        return {"text": row[:_MOST_CHARACTERS]}
    if isinstance(row, np.ndarray) and row.ndim < 2:
        names = prepared.encoder.feature_names
        return {"values": {name: f"{value:g}" for name, value in zip(names, row.tolist(), strict=True)}}
    return {"image": _data_uri(row)}


def _data_uri(image: Any) -> str | None:
    """Return an image, an array or a path, as a PNG in a URI; None where Pillow is not installed."""
    try:
        pillow = _checks.require("PIL.Image", "images")
    except ImportError:
        return None
    if isinstance(image, np.ndarray):
        low, high = float(image.min()), float(image.max())
        if image.dtype != np.uint8:
            image = ((image - low) * (255 / max(high - low, 1e-30))).astype(np.uint8)
        picture = pillow.fromarray(image)
    else:
        picture = pillow.open(image)
        picture.thumbnail(_MOST_PIXELS)
    if picture.mode not in ("L", "RGB"):
        picture = picture.convert("RGB")
    content = io.BytesIO()
    picture.save(content, "PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
