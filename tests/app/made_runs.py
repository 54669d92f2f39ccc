"""Made-up runs of every kind, as a training leaves them in their folders."""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path

import numpy as np

import fastnn
from fastnn.evaluation import evaluate_predictions, worst_rows

HOSTILE = [
    "<script>alert(1)</script>",
    "</style><b>",
    "a|b `c` $x_1$ \\frac",
    "\"'><img src=x onerror=alert(1)>",
]
KINDS = ["two classes", "ten classes", "images", "text", "regression", "several targets"]


def as_png(image) -> str:
    """An 8 x 8 image as a data URI."""
    from matplotlib.image import imsave

    content = io.BytesIO()
    imsave(content, image, cmap="gray", format="png")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


def make_run(folder: Path, kind: str = "two classes", *, seed: int = 0, **changes) -> Path:
    """A run's folder as a training leaves it, of one that knows a little; `changes` are of its summary."""
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    n, regression = 200, kind in ("regression", "several targets")
    values = {f"column {k}": rng.normal(size=n).round(3) for k in range(6)}
    header, lines = ["row"], [rng.permutation(5 * n)[:n]]
    counts = quantiles = classes = None
    sizes = [6, 32, 16, 1 if regression else 2]
    if regression:
        n_out = 2 if kind == "several targets" else 1
        truth = 150 + 70 * rng.normal(size=(n, n_out))
        prediction = truth + 40 * rng.normal(size=(n, n_out))
        scores = evaluate_predictions(truth, prediction, n_resamples=100)
        losses = ((truth - prediction) ** 2).mean(axis=1)
        names = ["width", "height"] if n_out == 2 else [""]
        for k, name in enumerate(names):
            header += [f"truth_{name}".rstrip("_"), f"prediction_{name}".rstrip("_")]
            lines += [truth[:, k], prediction[:, k]]
        quantiles = np.quantile(truth, [0, 0.25, 0.5, 0.75, 1]).tolist()
        shown = [[", ".join(map(str, row)) for row in part] for part in (truth, prediction)]
        probabilities = None
    else:
        classes = ["no", "yes"] if kind in ("two classes", "text") else list("0123456789")
        classes = changes.pop("classes", classes)
        k = len(classes)
        sizes[-1] = k
        truth = rng.integers(k, size=n) if k > 2 else (rng.random(n) < 0.3).astype(int)
        logits = rng.normal(size=(n, k))
        logits[np.arange(n), truth] += 2.5
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        prediction = probabilities.argmax(axis=1)
        options = {"probabilities": probabilities, "classes": range(k)}
        scores = evaluate_predictions(truth, prediction, **options, n_resamples=100)
        losses = -np.log(probabilities[np.arange(n), truth])
        shown = [[classes[c] for c in part] for part in (truth, prediction)]
        header += ["truth", "prediction", *(f"p_{name}" for name in classes)]
        lines += [*shown, *probabilities.T]
        counts = {name: int(4 * (truth == c).sum()) for c, name in enumerate(classes)}
    if kind == "images":
        sizes[:2] = [64, 16]
    with (folder / "test.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*header, "loss"])
        writer.writerows(zip(*lines, losses, strict=True))
    worst = []
    for place in map(int, worst_rows(losses)):
        entry = {"row": int(lines[0][place]), "truth": shown[0][place], "prediction": shown[1][place]}
        entry["loss"] = float(losses[place])
        if probabilities is not None:
            entry["probability"] = float(probabilities[place].max())
        if kind == "text":
            entry["text"] = "The battery died on the second day. " * int(rng.integers(1, 9))
        elif kind == "images":
            entry["image"] = as_png(rng.random((8, 8)) * np.hanning(8)[:, None])
        else:
            entry["values"] = {name: f"{column[place]:g}" for name, column in values.items()}
        worst.append(entry)
    write_json(folder / "worst.json", worst)
    epochs = np.arange(1, 21)
    cost, val_cost = 0.2 + 2.1 * np.exp(-epochs / 4), 0.4 + 1.9 * np.exp(-epochs / 4) + 0.002 * epochs
    columns = {
        "epoch": epochs.tolist(),
        "cost": cost.tolist(),
        "metric": (1 - cost / 3).tolist(),
        "val_cost": val_cost.tolist(),
        "val_metric": (1 - val_cost / 3).tolist(),
        "seconds": [0.01] * 20,
        "samples_per_second": [80_000.0] * 20,
        "lr": (1e-3 * 0.9**epochs).tolist(),
    }
    metric = "r2" if regression else "accuracy"
    write_json(
        folder / "history.json",
        {"metric_name": metric, "best_epoch": 17, "stop_reason": "early stopping", "columns": columns},
    )
    net = fastnn.MLP(sizes, seed=0)
    if kind == "images":
        encoder = {
            "kind": "images",
            "dtype": "float32",
            "size": [8, 8],
            "mode": "L",
            "mean": 0.3,
            "scale": 0.4,
        }
        net.metadata = {"encoder": encoder}
    net.save(folder / "model.safetensors")
    (folder / "config.toml").write_text(
        'source = "flowers.csv"\ntarget = "species"\nhidden = [32, 16]\nseed = 0\n'
    )
    table = [
        {
            "name": name,
            "kind": "number",
            "missing": 3 * k,
            "features": 1,
            "decision": "scaled by its quartiles",
        }
        for k, name in enumerate(values)
    ]
    summary = {
        "name": "flowers",
        "created": "2025-01-02T03:04:05+00:00",
        "fastnn": "0.1.0",
        "command": "fastnn train flowers.csv --target species --hidden 32,16",
        "seed": 0,
        "data": {
            "source": "flowers.csv",
            "kind": {"images": "images", "text": "text", "ten classes": "array"}.get(kind, "table"),
            "target": "species",
            "task": "regression" if regression else "classification",
            "classes": classes,
            "rows": {"train": 800, "validation": 100, "test": n},
            "n_features": sizes[0],
            "columns": table
            if kind not in ("text", "images")
            else [{"name": "x", "kind": kind, "features": 64}],
            "notes": ["Column 'id' was left out: it names rows.", "2 rows without a target were left out."],
            "target_counts": counts,
            "target_quantiles": quantiles,
        },
        "network": {
            "summary": net.summary(),
            "n_params": net.n_params,
            "sizes": sizes,
            "activations": ["relu", "relu"],
            "output": None if regression else "softmax",
        },
        "training": {
            "loss": "mse" if regression else "cross_entropy",
            "optimizer": "Adam(lr=0.001)",
            "schedule": "exponential",
            "batch_size": 32,
            "l2": 0.0001,
            "epochs": 20,
            "best_epoch": 17,
            "stop_reason": "early stopping",
            "seconds": 3.21,
            "samples_per_second": 81_234.5,
        },
        "test": scores,
        "machine": {
            "cpu": "A CPU",
            "usable_cores": 2,
            "system": "Linux x86_64",
            "python": "3.12.1",
            "numba": "0.61.0",
            "numpy": "2.1.0",
        },
    }
    for part, change in changes.items():
        summary[part] = {**summary[part], **change} if isinstance(change, dict) else change
    write_json(folder / "summary.json", summary)
    return folder


def write_json(path: Path, content) -> None:
    path.write_text(json.dumps(content))


def hostile_run(folder: Path) -> Path:
    """All that comes from data tries to be markup."""
    make_run(folder, "two classes", classes=HOSTILE[:2], name=HOSTILE[0], command=HOSTILE[3])
    summary = json.loads((folder / "summary.json").read_text())
    summary["data"] |= {"target": HOSTILE[2], "source": HOSTILE[3], "notes": HOSTILE}
    summary["data"]["columns"] = [{"name": name, HOSTILE[3]: name} for name in HOSTILE]
    summary["network"]["summary"] = "\n".join(HOSTILE)
    summary["training"] |= {"optimizer": HOSTILE[1], "stop_reason": HOSTILE[0]}
    summary["machine"] |= {"cpu": HOSTILE[1]}
    write_json(folder / "summary.json", summary)
    worst = json.loads((folder / "worst.json").read_text())[:3]
    worst[0]["values"] = dict.fromkeys(HOSTILE, HOSTILE[0])
    worst[1] |= {"text": HOSTILE[0]}
    worst[2] |= {"image": f"data:image/png;base64,{HOSTILE[3]}", "row": HOSTILE[3]}
    write_json(folder / "worst.json", worst)
    (folder / "config.toml").write_text("\n".join(HOSTILE))
    return folder
