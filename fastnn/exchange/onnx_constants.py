"""Constants of ONNX graphs: tensors in the file or beside it, and the few nodes that are computed from them.

A file may come from a stranger. Nothing outside its folder is read, and only nodes of a short list are
computed, whose results cannot be much larger than the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .._checks import shown

_LONGEST_NAME = 255  # of a file in its folder
_SMALL = 1 << 16  # numbers that results may always have
_MOST_PASSES = 4  # over all numbers of the file
_CAST_TO = ("FLOAT", "DOUBLE", "FLOAT16", "INT32", "INT64")


def _broadcast(arrays: Sequence[np.ndarray]) -> int:
    return math.prod(np.broadcast_shapes(*(array.shape for array in arrays)))


def _unchanged(arrays: Sequence[np.ndarray]) -> int:
    return arrays[0].size


# Operators that are computed, and the number of numbers in their result.
_COMPUTED: dict[str, Callable[[Sequence[np.ndarray]], int]] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Pow"), _broadcast),
    **dict.fromkeys(("Abs", "Neg", "Sqrt", "Reciprocal", "Exp", "Log"), _unchanged),
    **dict.fromkeys(
        ("Identity", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten"), _unchanged
    ),
    "Concat": lambda arrays: sum(array.size for array in arrays),
    "Shape": lambda arrays: arrays[0].ndim,
}


class Constants:
    """Arrays of an ONNX graph by name: its initializers, and what nodes compute from constants.

    Parameters
    ----------
    onnx : module
    model : onnx.ModelProto
    folder : Path or None
        Folder of the file, whose weights may be in files of the same folder; None if only content is given.

    Attributes
    ----------
    n_numbers : int
        Number of numbers in all tensors of the file.

    Raises
    ------
    ValueError
        If a tensor is not what it claims to be, or its data are not in the folder.
    """

    def __init__(self, onnx: ModuleType, model: Any, folder: Path | None) -> None:
        self._onnx, self._model, self._folder = onnx, model, folder
        self._files: dict[Path, int] = {}  # other files, with their sizes
        self._n_mapped = 0
        self._arrays = {tensor.name: self._read(tensor) for tensor in model.graph.initializer}
        self.n_numbers = sum(array.size for array in self._arrays.values())
        self._n_left = max(_SMALL, _MOST_PASSES * self.n_numbers)

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def _read(self, tensor: Any) -> np.ndarray:
        """Return the array of a tensor."""
        dims = tuple(tensor.dims)
        if min(dims, default=1) < 0 or (0 in dims and dims != (0,)):
            raise ValueError(f"tensor {tensor.name!r} claims the shape {dims}.")
        if tensor.data_location == self._onnx.TensorProto.EXTERNAL:
            return self._map(tensor, dims)
        return self._onnx.numpy_helper.to_array(tensor)

    def _map(self, tensor: Any, dims: tuple[int, ...]) -> np.ndarray:
        """Map the data of a tensor in a file beside the ONNX file into memory."""
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        name = shown(location)
        if self._folder is None:
            raise ValueError(f"its weights are in another file, {name}: pass the path of the ONNX file.")
        folder, parts = self._folder.resolve(), Path(location).parts
        path = (folder / location).resolve()
        if Path(location).is_absolute() or ".." in parts or path != folder.joinpath(*parts) or not parts:
            raise ValueError(f"its weights are in {name}: expected a file in its own folder.")
        if len(location) > _LONGEST_NAME or not path.is_file():
            raise ValueError(f"its weights are in another file, {name}, which is missing.")
        dtype = self._onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        start, n_bytes = int(entries.get("offset", 0)), dtype.itemsize * math.prod(dims)
        if dtype.kind not in "fiub" or start < 0 or n_bytes == 0 or start + n_bytes > path.stat().st_size:
            raise ValueError(f"tensor {tensor.name!r} is not within the file {name}.")
        self._files[path] = path.stat().st_size
        self._n_mapped += n_bytes
        if self._n_mapped > sum(self._files.values()):
            raise ValueError(f"its tensors claim more than {name} holds: some take the same part of it.")
        return np.memmap(path, dtype.newbyteorder("<"), "r", start, dims)

    def evaluate(self, node: Any) -> bool:
        """Compute a node whose inputs are all constant; return False if they are not.

        Raises
        ------
        ValueError
            If its operator is not computed, or its result is too large.
        """
        if any(name and name not in self._arrays for name in node.input):
            return False
        arrays = [self._arrays[name] for name in node.input if name]
        what = f"node {node.name or node.output[0]!r} ({node.op_type})"
        if node.domain in ("", "ai.onnx") and node.op_type == "Constant":
            value = self._arrays[node.output[0]] = self._value(node, what)
            self.n_numbers += value.size
            self._n_left += _MOST_PASSES * value.size
            return True
        if node.domain not in ("", "ai.onnx") or node.op_type not in _COMPUTED or not arrays:
            raise ValueError(
                f"{what} depends on constants only; of such nodes only {', '.join(_COMPUTED)} are computed."
            )
        n = _COMPUTED[node.op_type](arrays)
        self._n_left -= n
        if n > max(_SMALL, self.n_numbers) or self._n_left < 0:
            raise ValueError(
                f"{what} makes {n} numbers of constants: of the file's {self.n_numbers}, too many."
            )
        self._arrays[node.output[0]] = self._compute(node, arrays, what)
        return True

    def _value(self, node: Any, what: str) -> np.ndarray:
        """Return the value of a node Constant."""
        (attribute,) = node.attribute
        if attribute.name == "value":
            return self._read(attribute.t)
        if attribute.name not in ("value_float", "value_floats", "value_int", "value_ints"):
            raise ValueError(f"{what} has a {attribute.name}: expected a tensor or numbers.")
        dtype = np.float32 if "float" in attribute.name else np.int64
        return np.array(self._onnx.helper.get_attribute_value(attribute), dtype)

    def _compute(self, node: Any, arrays: list[np.ndarray], what: str) -> np.ndarray:
        from onnx.reference import ReferenceEvaluator

        helper = self._onnx.helper
        if node.op_type == "Cast":
            allowed = [getattr(self._onnx.TensorProto, name) for name in _CAST_TO]
            if any(attribute.name != "to" or attribute.i not in allowed for attribute in node.attribute):
                raise ValueError(f"{what} converts to another type than {', '.join(_CAST_TO)}.")
        names = [name for name in node.input if name]
        values = dict(zip(names, arrays, strict=True))
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in values.items()
        ]
        outputs = [self._onnx.ValueInfoProto(name=node.output[0])]
        graph = helper.make_graph([node], "constant", inputs, outputs)
        model = helper.make_model(graph, opset_imports=self._model.opset_import)
        (result,) = ReferenceEvaluator(model).run(None, values)
        return np.asarray(result)
