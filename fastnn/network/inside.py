"""A network inside the user's own compiled code: its forward pass as a function that numba code can call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, errors, types
from numba.extending import intrinsic

from ..kernels.address import address_of
from ..kernels.predict import predict_hooked_part
from ..kernels.records import Network, Workspace
from ..kernels.simd import CACHE_LINE, array_at
from .compiled import CompiledNetwork
from .predictor import Predictor

MOST_BYTES = 1 << 18  # on the stack of the thread that calls
_alive: list[object] = []


class Inside:
    """The part of a network for the user's own compiled code.

    Attributes
    ----------
    compiled_network : CompiledNetwork
    """

    compiled_network: CompiledNetwork

    def compiled(self) -> Callable[[np.ndarray, np.ndarray], None]:
        """Return the forward pass of one row as a function for numba code, such as a simulation's loop.

        Weights are read where they are, so that training changes what the function computes. It allocates
        nothing, and any number of threads may call it, in ``prange``, too. What it computes is what
        :meth:`predict_raw` returns, to the bit.

        Returns
        -------
        callable
            ``forward(x, out)``: writes the activated outputs of a row of n_in features to a row of n_out
            values, both C-contiguous and of the network's dtype. Rows of other lengths are a ValueError. The
            network's arrays stay in memory until the process ends. Code that calls it is compiled in every
            process: numba's ``cache=True`` has no effect on it.

        Raises
        ------
        ValueError
            If the activations of a row take more than 256 KiB, for which the stack has no room.

        Examples
        --------
        >>> import numba, numpy as np, fastnn
        >>> forward = fastnn.MLP([2, 8, 1], output="identity", init="zeros").compiled()
        >>> @numba.njit
        ... def last_of(n):
        ...     x, out = np.zeros(2, np.float32), np.zeros(1, np.float32)
        ...     for _ in range(n):
        ...         forward(x, out)
        ...         x[0] += out[0] + 1
        ...     return x[0]
        >>> last_of(1000)
        1000.0
        """
        return make_forward(self.compiled_network)


def make_forward(network: CompiledNetwork) -> Callable[[Any, Any], None]:
    """Make the forward pass of one row a function for numba code; see :meth:`Inside.compiled`."""
    n_in, n_out = network.architecture.sizes[0], network.architecture.sizes[-1]
    view, work = network.view_to_predict(), network.layout.workspace(1, 0, backward=False)
    n_bytes = sum(array.nbytes for array in work if isinstance(array, np.ndarray))
    if n_bytes > MOST_BYTES:
        raise ValueError(
            f"compiled needs {n_bytes:,} bytes of the stack for this network: expected at most "
            f"{MOST_BYTES:,}. Narrower layers need less."
        )
    if numba.config.DISABLE_JIT:
        predictor = Predictor(network)

        def forward(x: Any, out: Any) -> None:
            out[:] = predictor(x[np.newaxis])[0]

        return forward
    run = _forward_of(view, work)
    sentence = f"forward takes a row of {n_in} features and a row of {n_out} outputs, but got other lengths."

    embedded = np.array([(c, n) for c, (n, _) in network.architecture.embeddings.items()], np.int64)
    embedded = embedded.reshape(-1, 2)

    @numba.njit(nogil=True, error_model="numpy")
    def compiled_forward(x, out):  # type: ignore[no-untyped-def]
        if x.size != n_in or out.size != n_out:
            raise ValueError(sentence)
        for i in range(len(embedded)):
            if not 0 <= x[embedded[i, 0]] < embedded[i, 1]:
                raise ValueError("x holds a category number that the network does not know.")
        run(x, out)

    return compiled_forward


def _forward_of(view: Network, work: Workspace) -> Any:
    """Return an intrinsic function of two rows, with the network's addresses in it.

    The workspace of a call is on the stack, so threads do not meet.
    """
    # Code that has these addresses in it may run for as long as the process does.
    _alive.append(view)
    dtype, row = numba.typeof(view.params).dtype, np.empty((1, 1), view.params.dtype)
    kinds = [numba.typeof(value) for value in (0, 1, row, row, view, work)]
    target = address_of(predict_hooked_part, tuple(kinds))

    @intrinsic
    def run(typingctx, x, out):  # type: ignore[no-untyped-def]
        for name, kind in {"x": x, "out": out}.items():
            if not (
                isinstance(kind, types.Array) and (kind.dtype, kind.ndim, kind.layout) == (dtype, 1, "C")
            ):
                raise errors.TypingError(f"{name} must be a contiguous row of {dtype}, got {kind}.")
        if not out.mutable:
            raise errors.TypingError("out must be writable.")

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            rows = []
            for kind, value in zip(signature.args, args, strict=True):
                array = cgutils.create_struct_proxy(kind)(context, builder, value)
                n = cgutils.unpack_tuple(builder, array.shape, 1)[0]
                one = context.get_constant(types.intp, 1)
                rows.append(array_at(context, builder, kinds[2], array.data, [one, n]))

            def fixed(kind, array):  # type: ignore[no-untyped-def]
                data = context.add_dynamic_addr(builder, array.ctypes.data, "fastnn")
                return _array_like(context, builder, kind, data, array)

            def on_stack(kind, array):  # type: ignore[no-untyped-def]
                n_bytes = ir.Constant(ir.IntType(64), max(array.nbytes, CACHE_LINE))
                data = cgutils.alloca_once(builder, ir.IntType(8), n_bytes)
                data.align = CACHE_LINE
                cgutils.memset(builder, data, n_bytes, 0)
                return _array_like(context, builder, kind, data, array)

            records = [
                _record(context, builder, kinds[4], view, fixed),
                _record(context, builder, kinds[5], work, on_stack),
            ]
            part, n_parts = (context.get_constant(types.intp, number) for number in (0, 1))
            convention = context.call_conv
            function = context.add_dynamic_addr(builder, target, "fastnn")
            function = builder.bitcast(function, convention.get_function_type(types.none, kinds).as_pointer())
            values = [part, n_parts, rows[1], rows[0], *records]
            convention.call_function(builder, function, types.none, kinds, values)
            return context.get_dummy_value()

        return types.void(x, out), codegen

    return run


def _record(context: Any, builder: Any, kind: Any, record: tuple[Any, ...], make_array: Any) -> Any:
    """Return the value of a named tuple of numbers and arrays; `make_array` makes those of the latter."""
    values = [
        make_array(inner, field) if isinstance(inner, types.Array) else context.get_constant(inner, field)
        for inner, field in zip(kind, record, strict=True)
    ]
    return context.make_tuple(builder, kind, values)


def _array_like(context: Any, builder: Any, kind: Any, data: Any, array: np.ndarray) -> Any:
    """Return the value of an array of the shape of another, with its data at an address."""
    shape = [context.get_constant(types.intp, n) for n in array.shape]
    return array_at(context, builder, kind, data, shape)
