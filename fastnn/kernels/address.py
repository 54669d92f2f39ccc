"""Calls of compiled functions by their address: how the core reaches kernels it was not compiled with."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

import numba
import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic

from .._jit import compiled_form
from .simd import without_counts

_functions: WeakValueDictionary[int, Any] = WeakValueDictionary()  # by address


def address_of(function: Any, like: tuple[Any, ...]) -> int:
    """Address of a jitted function compiled for arguments of these types; valid as long as the function.

    Parameters
    ----------
    function : numba dispatcher
        Or, under ``NUMBA_DISABLE_JIT``, a plain function.
    like : tuple
        Numba types of the arguments that :func:`call_at` will be given, or examples of them.
    """
    if numba.config.DISABLE_JIT:
        address = id(function)
    else:
        form = compiled_form(function, like)
        address = form.library.get_pointer_to_function(form.fndesc.llvm_func_name)
    _functions[address] = function
    return address


@intrinsic
def call_at(typingctx, address, arguments):
    """Call the compiled function at an address with a tuple of arguments; nothing is returned.

    Integers of any type are passed as intp, so that a function has one compiled form.
    """
    given = [types.unliteral(kind) for kind in arguments]
    kinds = [types.intp if isinstance(kind, types.Integer) else kind for kind in given]

    def codegen(context, builder, signature, args):
        convention = context.call_conv
        target = convention.get_function_type(types.none, kinds).as_pointer()
        values = cgutils.unpack_tuple(builder, args[1], len(kinds))
        values = [
            context.cast(builder, value, *pair) for value, *pair in zip(values, given, kinds, strict=True)
        ]
        function = builder.inttoptr(args[0], target)
        convention.call_function(builder, function, types.none, kinds, values)
        return context.get_dummy_value()

    return types.void(types.intp, types.Tuple(given)), codegen


@intrinsic
def pointer_to(typingctx, value):
    """Pointer to a copy of a tuple, which lives as long as the call of the function that makes it.

    Hooks are given this instead of the tuple, whose hundred words would be passed one by one at every call.
    """

    def codegen(context, builder, signature, args):
        data = context.data_model_manager[value].as_data(builder, args[0])
        return cgutils.alloca_once_value(builder, data)

    return types.CPointer(value)(value), codegen


@intrinsic
def value_at(typingctx, pointer):
    """The tuple at a pointer, without reference counts; a tuple is returned as it is."""
    by_pointer = isinstance(pointer, types.CPointer)
    kind = pointer.dtype if by_pointer else pointer

    def codegen(context, builder, signature, args):
        value = args[0]
        if by_pointer:
            value = context.data_model_manager[kind].load_from_data_pointer(builder, value)
        return without_counts(context, builder, kind, value)

    return kind(pointer), codegen


def _nothing(n_dims):
    array = types.Array(types.int64, n_dims, "C")

    def codegen(context, builder, signature, args):
        return cgutils.create_struct_proxy(array)(context, builder)._getvalue()

    return array(), codegen


@intrinsic
def no_words(typingctx):
    """An empty vector of int64, for a kernel that takes one and does not read it."""
    return _nothing(1)


@intrinsic
def no_codes(typingctx):
    """An empty matrix of int64, likewise."""
    return _nothing(2)


if numba.config.DISABLE_JIT:

    def call_at(address, arguments):
        """NumPy form."""
        _functions[address](*arguments)

    def pointer_to(value):
        """NumPy form: the tuple itself."""
        return value

    def value_at(pointer):
        """NumPy form."""
        return pointer

    def no_words():
        """NumPy form."""
        return np.empty(0, np.int64)

    def no_codes():
        """NumPy form."""
        return np.empty((0, 0), np.int64)
