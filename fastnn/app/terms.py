"""Terms of a report: titles and meanings of scores, settings, endings of training and kinds of data."""

from __future__ import annotations

from typing import NamedTuple


class ScoreMeaning(NamedTuple):
    """Title of a score, whether it is written in percent, and what it says."""

    title: str
    percent: bool
    says: str


SCORES = {
    "accuracy": ScoreMeaning("Accuracy", True, "share of rows whose class is predicted correctly"),
    "balanced_accuracy": ScoreMeaning(
        "Balanced accuracy",
        True,
        "recall of each class, averaged: rare classes count as much as frequent ones",
    ),
    "f1_macro": ScoreMeaning(
        "F1 (macro)",
        False,
        "F1 of each class, averaged: 1 if exactly the rows of each class are found; at worst 0",
    ),
    "log_loss": ScoreMeaning(
        "Log loss",
        False,
        "how improbable the model took the truth to be: 0 is best; confident mistakes cost most",
    ),
    "roc_auc": ScoreMeaning(
        "ROC AUC",
        False,
        "chance that a row of a class ranks above a row of another: 0.5 is guessing, 1 is best",
    ),
    "r2": ScoreMeaning("R squared", False, "share of the target's variance that is explained: 1 is best"),
    "mae": ScoreMeaning("Mean absolute error", False, "mean distance from the truth, in the target's unit"),
    "rmse": ScoreMeaning(
        "Root mean squared error", False, "typical distance from the truth; large errors count more"
    ),
}
STOPS = {
    "epochs": "all epochs were run",
    "early stopping": "the validation score had stopped improving",
    "interrupted": "it was interrupted",
    "diverged": "the cost diverged",
    "schedule": "the schedule had ended",
    "error": "an error occurred",
}
UNPLANNED_STOPS = ("interrupted", "diverged", "error")
USES = {
    "train": ("Training", "the model learnt its weights from these"),
    "validation": ("Validation", "monitored during training"),
    "test": ("Test", "scored once, at the end"),
}
# Entries of a summary's training that are not settings.
OUTCOMES = ("best_epoch", "stop_reason", "seconds", "samples_per_second")
SETTING_TITLES = {
    "optimizer": "Optimiser",
    "schedule": "Learning-rate schedule",
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
