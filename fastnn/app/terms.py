"""Terms of a report: titles and meanings of scores, settings, endings of training and kinds of data."""

from __future__ import annotations

from typing import NamedTuple


class ScoreMeaning(NamedTuple):
    """Title of a score, whether it is written in percent, and what it says."""

    title: str
    percent: bool
    says: str


SCORES = {
    "accuracy": ScoreMeaning("Accuracy", True, "share of rows whose class is right"),
    "balanced_accuracy": ScoreMeaning(
        "Balanced accuracy", True, "share that is right of each class, averaged: rare classes count as much"
    ),
    "f1_macro": ScoreMeaning(
        "F1 (macro)",
        False,
        "averaged over classes: 1 if all rows of each are found, and no others; at worst 0",
    ),
    "log_loss": ScoreMeaning(
        "Log loss",
        False,
        "how much the truth surprises its probabilities: 0 is best; sure but wrong costs most",
    ),
    "roc_auc": ScoreMeaning(
        "ROC AUC", False, "chance that a row of a class outranks one of another: 0.5 is guessing, 1 is best"
    ),
    "r2": ScoreMeaning("R squared", False, "share of the target's variance that is explained: 1 is best"),
    "mae": ScoreMeaning("Mean absolute error", False, "mean distance from the truth, in the target's unit"),
    "rmse": ScoreMeaning(
        "Root mean squared error", False, "typical distance from the truth; large errors count more"
    ),
}
STOPS = {
    "epochs": "all epochs were run",
    "early stopping": "the validation figures had stopped getting better",
    "interrupted": "it was interrupted",
    "diverged": "it diverged",
    "schedule": "the schedule had ended",
    "error": "an error ended it",
}
UNPLANNED_STOPS = ("interrupted", "diverged", "error")
USES = {
    "train": ("Training", "the weights were learnt from these"),
    "validation": ("Validation", "watched while training"),
    "test": ("Test", "scored once, at the end"),
}
# What a summary says of training beside its settings, which are all the rest.
OUTCOMES = ("best_epoch", "stop_reason", "seconds", "samples_per_second")
SETTING_TITLES = {
    "optimizer": "Optimiser",
    "schedule": "Learning rate",
    "l1": "L1 penalty",
    "l2": "L2 penalty",
}


class DataWords(NamedTuple):
    """Words for a kind of data: its rows, one row, and a file of new rows with the code that reads it."""

    rows: str
    row: str
    file: str
    read: str


DATA = {
    "table": DataWords(
        "A table",
        "the other columns of a table",
        "new.csv",
        'import pandas\nrows = pandas.read_csv("new.csv")',
    ),
    "text": DataWords("Texts", "a text", "new.txt", 'rows = open("new.txt").read().splitlines()'),
    "images": DataWords("Images", "an image", "new/", 'import glob\nrows = sorted(glob.glob("new/*.png"))'),
}
ARRAYS = DataWords(
    "Arrays of numbers", "an array of numbers", "new.npy", 'import numpy\nrows = numpy.load("new.npy")'
)
