"""A network together with what leads raw rows into it, and its outputs back to answers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _checks
from .network import files as model_file
from .network.mlp import MLP, load

if TYPE_CHECKING:
    from .data import Encoder, Target


class Model:
    """What ``fastnn train`` saves: it takes rows as they stand in the user's file.

    Parameters
    ----------
    net : MLP
    encoder : Encoder
        Fitted: turns raw rows into vectors; see :mod:`fastnn.data`.
    target : Target
        Fitted: turns the network's outputs into labels, or into values of the target's own unit.

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
        """Labels, (n,), or values of the target, (n,) or (n, n_out).

        Parameters
        ----------
        rows : DataFrame, ndarray or list
            Raw rows, of the kind that the encoder was fitted on.

        Raises
        ------
        ValueError, TypeError
            If they are not.
        """
        return self.answers(self._outputs(rows))

    def predict_proba(self, rows: Any) -> np.ndarray:
        """Probabilities of the classes, (n, n_classes), in the order of ``target.classes``.

        Raises
        ------
        ValueError
            If the model is none of classes, or its loss gives no probabilities.
        """
        return self.probabilities(self._outputs(rows))

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """Labels or values that outputs of the network stand for."""
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
        """Probabilities of the classes that outputs of the network stand for."""
        if self.target.classes is None:
            raise ValueError(f"{self.target.name!r} is a quantity: there are no classes to be probable.")
        if self.net.output == "softmax":
            return outputs
        if self.net.output == "sigmoid":
            return np.hstack([1 - outputs, outputs])
        raise ValueError("the network was trained with a loss that gives no probabilities.")

    def columns(self, outputs: np.ndarray, *, proba: bool = True) -> dict[str, np.ndarray]:
        """What outputs of the network stand for, as columns of a table by name.

        "prediction"; of several targets one with the name of each; of quantiles the middle one, and "q_0.1"
        and so on; with `proba` and where there are probabilities, "p_" and the class for each class.
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
            of_classes = self.probabilities(outputs)
            columns |= {f"p_{name}": of_classes[:, k] for k, name in enumerate(self.target.classes or ())}
        return columns

    def predict_frame(self, rows: Any, *, proba: bool = False):
        """Predictions as a pandas DataFrame; see :meth:`columns` for its columns.

        Raises
        ------
        ValueError
            If probabilities are asked for, and there are none.
        """
        if proba and not self.gives_probabilities:
            self.predict_proba(rows)  # which says why
        pandas = _checks.require("pandas", "tables")
        return pandas.DataFrame(self.columns(self._outputs(rows), proba=proba))

    def evaluate(self, rows: Any, y: Any) -> dict[str, dict[str, float]]:
        """Scores of rows whose truth is known: value, and low and high end of a 95 % interval.

        See :func:`fastnn.evaluation.evaluate_predictions`.
        """
        self.target.encode(y)  # refuses labels that it does not know
        return self.scores(self._outputs(rows), y)

    def scores(self, outputs: np.ndarray, y: Any) -> dict[str, dict[str, float]]:
        """The same of outputs of the network that are there already."""
        from .evaluation import evaluate_predictions

        columns = self.columns(outputs, proba=False)
        several = [values for name, values in columns.items() if name.startswith("prediction_")]
        prediction = np.column_stack(several) if several else columns["prediction"]
        return evaluate_predictions(
            np.asarray(y),
            prediction,
            probabilities=self.probabilities(outputs) if self.gives_probabilities else None,
            classes=self.target.classes,
        )

    @property
    def gives_probabilities(self) -> bool:
        """Whether :meth:`predict_proba` has an answer."""
        return self.target.classes is not None and self.net.output in ("softmax", "sigmoid")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file: the network's, with encoder and target as JSON; see MLP.save."""
        self.net.metadata |= {"encoder": self.encoder.to_dict(), "target": self.target.to_dict()}
        self.net.save(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """Read what :meth:`save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is damaged, of a newer format, or a network alone.
        """
        from .data import Target, encoder_from_dict

        net = load(path)
        with model_file.refusing(path):
            if not {"encoder", "target"} <= net.metadata.keys():
                raise ValueError("it holds a network alone, not what encodes rows: use fastnn.load.")
            return cls(
                net, encoder_from_dict(net.metadata["encoder"]), Target.from_dict(net.metadata["target"])
            )
