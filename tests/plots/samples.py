"""Data that the pictures of the tests are drawn from: points of two classes, a history, a run's folder."""

import json

import numpy as np

from fastnn.history import Epoch, History

MOONS = np.random.default_rng(0).standard_normal((60, 2))
SIDES = (MOONS[:, 0] * MOONS[:, 1] > 0).astype(int)


def make_history(costs=(1.0, 0.5, 0.4), val_costs=(1.1, 0.6, 0.7), best_epoch=None, lrs=None):
    history = History("accuracy")
    for n, (cost, val_cost) in enumerate(zip(costs, val_costs, strict=True), 1):
        lr = 0.1 if lrs is None else lrs[n - 1]
        history.epochs.append(Epoch(n, cost, n / 10, val_cost, n / 20, 0.1, 1e4, lr, {"val_f1": n / 30}))
    history.best_epoch = best_epoch
    return history


def write_run(folder, task="classification", net=None):
    history = make_history((1.2, 0.3, 0.03), (1.3, 0.11, 0.2), best_epoch=2, lrs=(0.1, 0.05, 0.01))
    about = {"metric_name": "accuracy" if task == "classification" else "r2", "best_epoch": 2}
    (folder / "history.json").write_text(json.dumps(about | {"columns": history.to_dict()}))
    classes = ["cat", "dog"] if task == "classification" else None
    (folder / "summary.json").write_text(json.dumps({"data": {"task": task, "classes": classes}}))
    if task == "classification":
        rows = ["cat,cat,0.1,0.9,0.1", "dog,cat,0.9,0.6,0.4", "dog,dog,0.2,0.2,0.8", "dog,cat,0.9,0.6,0.4"]
        lines = ["row,truth,prediction,loss,p_cat,p_dog", *(f"{k},{row}" for k, row in enumerate(rows))]
    else:
        lines = ["row,truth,prediction,loss", "0,1.0,1.5,0.25", "1,2.0,2.0,0.0", "2,4.0,3.5,0.25"]
    (folder / "test.csv").write_text("\n".join(lines) + "\n")
    if net is not None:
        net.save(folder / "model.safetensors")
    return folder
