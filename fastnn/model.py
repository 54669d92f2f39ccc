"""A network with the encoders around it: from raw rows to labels or values in the target's unit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _checks
from ._fields import read_fields
from .evaluation import evaluate_predictions
from .network import files as model_file
from .network.mlp import MLP, load, write_network

if TYPE_CHECKING:
    import pandas
    from numpy.typing import ArrayLike

    from .data.dataset import Encoder
    from .data.target import Target


MODEL, CONFIG = "model.safetensors", "config.toml"  # files in the folder of a run of ``fastnn train``


def find_model(path: str | os.PathLike[str]) -> Path:
    """Return the model file in the folder of a run; a path that is no folder is returned as it is.

    Raises
    ------
    FileNotFoundError
        If the folder is not that of a run, or the run was interrupted before it had a model.
    """
    path = _checks.check_path("path", path)
    if not path.is_dir():
        return path
    if (path / MODEL).exists():
        return path / MODEL
    if (path / CONFIG).exists():
        raise FileNotFoundError(
            f"the run {str(path)!r} was interrupted and has no model yet: continue with fastnn train "
            f"--resume {path}."
        )
    raise FileNotFoundError(
        f"there is no model file in the folder {str(path)!r}: expected the folder of a run, with its {MODEL}."
    )


class Model:
    """A trained network that takes raw rows, as in the user's file: what ``fastnn train`` saves.

    Parameters
    ----------
    net : MLP
    encoder : Encoder
        Fitted encoder that turns raw rows into features; see :mod:`fastnn.data`.
    target : Target
        Fitted target that turns the network's outputs into labels, or into values in the target's unit.

    Examples
    --------
    >>> import numpy as np, pathlib, tempfile, fastnn
    >>> from fastnn.data import ArrayEncoder, Target
    >>> rows, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array(["low", "low", "high", "high"])
    >>> encoder, target = ArrayEncoder().fit(rows), Target("size").fit(y)
    >>> net = fastnn.MLP([1, 8, 2], seed=0)
    >>> trainer = fastnn.Trainer(net, loss="cross_entropy", batch_size=None, seed=0)
    >>> history = trainer.fit(encoder.transform(rows), target.encode(y), epochs=300, verbose=0)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> Model(net, encoder, target).save(path)
    >>> Model.load(path).predict(np.array([[0.5], [2.5]])).tolist()
    ['low', 'high']
    """

    def __init__(self, net: MLP, encoder: Encoder, target: Target) -> None:
        self.net, self.encoder, self.target = net, encoder, target

    def __repr__(self) -> str:
        return f"Model({self.net!r}, {self.encoder.kind} -> {self.target.name})"

    def _outputs(self, rows: Any) -> np.ndarray:
        return self.net.predict_raw(self.encoder.transform(rows))

    def predict(self, rows: Any) -> np.ndarray:
        """Predict labels, or values of the target.

        Parameters
        ----------
        rows : DataFrame, ndarray or list
            Raw rows, of the kind that the encoder was fitted on.

        Returns
        -------
        ndarray of shape (n,), or (n, n_out) for several values

        Raises
        ------
        ValueError, TypeError
            If the rows are of another kind.
        """
        return self.answers(self._outputs(rows))

    def predict_proba(self, rows: Any) -> np.ndarray:
        """Predict the probabilities of the classes, in the order of ``target.classes``.

        Returns
        -------
        ndarray of shape (n, n_classes)

        Raises
        ------
        ValueError
            If the target has no classes, or the loss gives no probabilities.
        """
        return self.probabilities(self._outputs(rows))

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """Turn outputs of the network into labels or values."""
        target = self.target
        if target.classes is None:
            values = np.asarray(target.decode_values(outputs))
            return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
        if outputs.shape[1] == 1:
            middle = 0.5 if self.net.output == "sigmoid" else 0.0
            numbers = (outputs[:, 0] > middle).astype(np.intp)
        else:
            numbers = outputs.argmax(axis=1)
        return target.decode_labels(numbers)

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Turn outputs of the network into probabilities of the classes, (n, n_classes)."""
        if self.target.classes is None:
            raise ValueError(f"{self.target.name!r} is a quantity: it has no classes with probabilities.")
        if self.net.output == "softmax":
            return outputs
        if self.net.output == "sigmoid":
            return np.hstack([1 - outputs, outputs])
        raise ValueError("the network was trained with a loss that gives no probabilities.")

    def columns(self, outputs: np.ndarray, *, proba: bool = True) -> dict[str, np.ndarray]:
        """Turn outputs of the network into columns of a table, by name.

        One target gives the column "prediction"; several give "prediction_" and the name of each. Quantiles
        give "prediction" for the middle one, and "q_0.1" and so on for all. With `proba`, and where
        the model has probabilities, each class gives "p_" and its name.
        """
        answers = self.answers(outputs)
        levels = self.net.metadata.get("levels")
        if answers.ndim == 1:
            columns = {"prediction": answers}
        elif levels is not None:
            middle = int(np.argmin(np.abs(np.asarray(levels) - 0.5)))
            columns = {"prediction": answers[:, middle]}
            columns |= {f"q_{level:g}": answers[:, k] for k, level in enumerate(levels)}
        else:
            names = [name.strip() for name in self.target.name.split(",")]
            if len(names) != answers.shape[1]:
                names = [f"{self.target.name}_{k}" for k in range(answers.shape[1])]
            columns = {f"prediction_{name}": answers[:, k] for k, name in enumerate(names)}
        if proba and self.gives_probabilities:
            probabilities = self.probabilities(outputs)
            columns |= {f"p_{name}": probabilities[:, k] for k, name in enumerate(self.target.classes or ())}
        return columns

    def predict_frame(self, rows: Any, *, proba: bool = False) -> pandas.DataFrame:
        """Return predictions as a data frame; see :meth:`columns` for its columns.

        Raises
        ------
        ValueError
            If probabilities are asked for, but the model has none.
        """
        proba = _checks.check_flag("proba", proba)
        if proba and not self.gives_probabilities:
            self.predict_proba(rows)  # raises, and says why
        frame = _checks.require("pandas", "tables").DataFrame
        return frame(self.columns(self._outputs(rows), proba=proba))

    def evaluate(self, rows: Any, y: ArrayLike) -> dict[str, dict[str, Any]]:
        """Score predictions of rows whose true answers are known.

        Parameters
        ----------
        rows : DataFrame, ndarray or list
        y : array-like of shape (n,) or (n, n_out)
            Labels, or values in the target's unit.

        Returns
        -------
        dict
            For each score its "value", the ends "low" and "high" of a 95 % interval, and the "method" that
            computed them: see :func:`fastnn.evaluation.evaluate_predictions`.

        Raises
        ------
        ValueError
            If y holds labels that training did not have.
        """
        return self.scores(self._outputs(rows), self.target.read(y))

    def scores(self, outputs: np.ndarray, y: ArrayLike) -> dict[str, dict[str, Any]]:
        """Score outputs of the network; see :meth:`evaluate`."""
        columns = self.columns(outputs, proba=False)
        several = [values for name, values in columns.items() if name.startswith("prediction_")]
        prediction = np.column_stack(several) if several else columns["prediction"]
        return evaluate_predictions(
            self.target.read(y),
            prediction,
            probabilities=self.probabilities(outputs) if self.gives_probabilities else None,
            classes=self.target.classes,
        )

    @property
    def gives_probabilities(self) -> bool:
        """True if :meth:`predict_proba` can be called."""
        return self.target.classes is not None and self.net.output in ("softmax", "sigmoid")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network, with encoder and target as JSON, to one safetensors file.

        Raises
        ------
        ValueError
            If network, encoder and target do not fit together, or the file could not be read again.
        OSError
            If the file cannot be written; an existing file at `path` then stays as it was.
        """
        encoders = {"encoder": self.encoder.to_dict(), "target": self.target.to_dict()}
        metadata = self.net.metadata | encoders
        self._of(self.net, metadata)
        write_network(path, self.net, metadata)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """Read a file that :meth:`save` wrote, or the model in the folder of a run of ``fastnn train``.

        Parameters
        ----------
        path : path-like
            File, or folder of a run such as ``runs/flowers-1``.

        Returns
        -------
        Model

        Raises
        ------
        FileNotFoundError
            If there is no such file, or no model in the folder.
        ValueError
            If it is damaged, of another format, or holds a network without encoders.
        """
        path = find_model(path)
        net = load(path)
        with model_file.refusing(path):
            if not {"encoder", "target"} <= net.metadata.keys():
                raise ValueError("it holds a network without encoders: use fastnn.load.")
            return cls._of(net, net.metadata)

    @classmethod
    def _of(cls, net: MLP, metadata: dict[str, Any]) -> Model:
        """Return the model of a network and the encoder and target in a file's metadata.

        Raises
        ------
        ValueError
            If they are not what fastnn writes, or do not fit together.
        """
        from .data.kinds import encoder_from_dict
        from .data.target import Target

        encoder = encoder_from_dict(metadata["encoder"])
        if encoder.n_features != net.sizes[0]:
            raise ValueError(
                f"its encoder makes {encoder.n_features} features, but its network takes {net.sizes[0]}."
            )
        for column, (n_categories, _) in net.embeddings.items():
            if encoder.embeddings.get(column, (n_categories + 1,))[0] > n_categories:
                raise ValueError(f"its encoder does not make the categories of the embedded column {column}.")
        target, n_out = Target.from_dict(metadata["target"]), net.sizes[-1]
        one_for_two = target.classes is not None and len(target.classes) == 2 and n_out == 1
        one_for_all = target.classes is None and target.n_out == 1  # such as quantiles of a single value
        if target.n_out != n_out and not one_for_two and not one_for_all:
            raise ValueError(f"its target needs {target.n_out} outputs, but its network has {n_out}.")
        if "levels" in metadata:
            read_fields({"levels": metadata["levels"]}, {"levels": list[float]}, "metadata")
            if len(metadata["levels"]) != n_out:
                raise ValueError(f"metadata.levels must have an entry for each of the {n_out} outputs.")
        return cls(net, encoder, target)
