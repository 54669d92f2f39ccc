"""Atomics, a barrier and a start handshake: how the threads of one parallel region keep step.

A training call opens one ``prange`` region for many steps, and its parts meet at barriers inside. That
is only sound when every part runs on a thread of its own, all at once, which a threading layer may or
may not grant (TBB promises nothing, OpenMP may hand out fewer threads than asked). So the parts first
meet in :func:`team_assemble`: either all of them are there, or none goes on and the caller runs the
work on one thread.

The shared words live in an int64 array, each on a cache line of its own.
"""

from __future__ import annotations

import ctypes
import os

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import prange
from numba.core import cgutils, types
from numba.extending import intrinsic

from .._jit import jit
from .sizes import ASSEMBLE_YIELDS, PAD, SPINS_BEFORE_YIELD

_LINE = 16  # int64 words between shared words: two cache lines, for the adjacent-line prefetcher
_ARRIVED, _VERDICT, _MET = 0, _LINE, 2 * _LINE
TEAM_WORDS = 3 * _LINE

_UNDECIDED, _GO, _NO = 0, 1, 2

_system = ctypes.CDLL("kernel32" if os.name == "nt" else None)
_give_way = getattr(_system, "SwitchToThread" if os.name == "nt" else "sched_yield")
llvm.add_symbol("fastnn_give_way", ctypes.cast(_give_way, ctypes.c_void_p).value)


def _word(context, builder, array_type, array, index):
    view = cgutils.create_struct_proxy(array_type)(context, builder, array)
    return builder.gep(view.data, [index])


@intrinsic
def atomic_add(typingctx, array, index, value):
    """Add to ``array[index]``; return what it was."""

    def codegen(context, builder, signature, args):
        word = _word(context, builder, array, *args[:2])
        return builder.atomic_rmw("add", word, args[2], "acq_rel")

    return types.int64(array, types.intp, types.int64), codegen


@intrinsic
def atomic_load(typingctx, array, index):
    """``array[index]`` as the other threads last wrote it."""

    def codegen(context, builder, signature, args):
        return builder.load_atomic(_word(context, builder, array, *args), "acquire", 8)

    return types.int64(array, types.intp), codegen


@intrinsic
def atomic_decide(typingctx, array, index, value):
    """Write `value` to ``array[index]`` if it is still 0; return the value it then has."""

    def codegen(context, builder, signature, args):
        word = _word(context, builder, array, *args[:2])
        zero = ir.Constant(ir.IntType(64), 0)
        pair = builder.cmpxchg(word, zero, args[2], "acq_rel", "acquire")
        won = builder.extract_value(pair, 1)
        return builder.select(won, args[2], builder.extract_value(pair, 0))

    return types.int64(array, types.intp, types.int64), codegen


@intrinsic
def pause(typingctx):
    """Tell the core that this is a waiting loop: some 15 to 50 ns, without burning power or bandwidth."""

    def codegen(context, builder, signature, args):
        triple = llvm.get_process_triple()
        arm = "aarch64" in triple or "arm64" in triple
        name, hint = (
            ("llvm.aarch64.hint", [ir.Constant(ir.IntType(32), 1)]) if arm else ("llvm.x86.sse2.pause", [])
        )
        if arm or "x86_64" in triple or "amd64" in triple:
            kind = ir.FunctionType(ir.VoidType(), [value.type for value in hint])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), hint)
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def give_way(typingctx):
    """Yield this core to another thread."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(ir.IntType(32), [])
        function = cgutils.get_or_insert_function(builder.module, kind, "fastnn_give_way")
        return builder.call(function, [])

    return types.int32(), codegen


@intrinsic
def _packed(typingctx, arguments):
    """Address of a copy of the arguments, which lives as long as the call that makes it."""

    def codegen(context, builder, signature, args):
        return builder.ptrtoint(cgutils.alloca_once_value(builder, args[0]), ir.IntType(64))

    return types.intp(arguments), codegen


@intrinsic
def _unpacking_call(typingctx, arguments):
    """Address of a function of four whole numbers (function, part, n_parts, packed).

    It calls the compiled function at the first address with (part, n_parts, *arguments).
    """

    def codegen(context, builder, signature, args):
        word = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [word] * 4)
        name = builder.module.get_unique_name("unpacking_call")
        caller = ir.Function(builder.module, kind, name)
        caller.linkage = "internal"
        inside = ir.IRBuilder(caller.append_basic_block())
        function, part, n_parts, packed = caller.args
        tuple_pointer = inside.inttoptr(packed, context.get_value_type(arguments).as_pointer())
        values = cgutils.unpack_tuple(inside, inside.load(tuple_pointer), len(arguments))
        kinds = [types.intp, types.intp, *arguments]
        convention = context.call_conv
        target = convention.get_function_type(types.none, kinds).as_pointer()
        target = inside.inttoptr(function, target)
        convention.call_function(inside, target, types.none, kinds, [part, n_parts, *values])
        inside.ret_void()
        return builder.ptrtoint(caller, word)

    return types.intp(arguments), codegen


@intrinsic
def _call(typingctx, function, a, b, c, d):
    """Call the function of four whole numbers at an address."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * 4)
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
        return context.get_dummy_value()

    n = types.intp
    return types.void(n, n, n, n, n), codegen


if numba.config.DISABLE_JIT:  # one thread only: no other to wait for

    def atomic_add(array, index, value):
        """NumPy form."""
        array[index] += value
        return array[index] - value

    def atomic_load(array, index):
        """NumPy form."""
        return array[index]

    def atomic_decide(array, index, value):
        """NumPy form."""
        array[index] = array[index] or value
        return array[index]

    def pause():
        """NumPy form."""

    def give_way():
        """NumPy form."""


@jit(inline=True)
def share_start(part, n_parts, n):
    """First of n things that the part owns; the next part's begin where they end."""
    return part * n // n_parts


@jit(inline=True)
def owned_columns(part, n_parts, n_cols):
    """Columns o0 to o1 that the part owns, in whole cache lines: o1 may be beyond n_cols."""
    n_lines = (n_cols + PAD - 1) // PAD
    return share_start(part, n_parts, n_lines) * PAD, share_start(part + 1, n_parts, n_lines) * PAD


def new_team() -> np.ndarray:
    """Return the shared words of a parallel region; each region needs new ones."""
    return np.zeros(TEAM_WORDS, dtype=np.int64)


@jit
def team_assemble(team, n_parts):
    """Wait until `n_parts` threads have called this; return whether they all did in time."""
    if n_parts == 1:
        return True
    if atomic_add(team, _ARRIVED, 1) == n_parts - 1:
        return atomic_decide(team, _VERDICT, _GO) == _GO
    for _ in range(ASSEMBLE_YIELDS):
        for _ in range(SPINS_BEFORE_YIELD):
            verdict = atomic_load(team, _VERDICT)
            if verdict != _UNDECIDED:
                return verdict == _GO
            pause()
        give_way()
    return atomic_decide(team, _VERDICT, _NO) == _GO


@jit
def team_meet(team, n_parts):
    """Barrier: return when all `n_parts` threads of the team have called this equally often.

    The counter only grows, so a thread needs no memory of earlier meetings: the ticket it draws says
    at which count its own meeting is complete.
    """
    if n_parts == 1:
        return
    ticket = atomic_add(team, _MET, 1)
    complete = (ticket // n_parts + 1) * n_parts
    spins = 0
    while atomic_load(team, _MET) < complete:
        pause()
        spins += 1
        if spins > SPINS_BEFORE_YIELD:
            give_way()


@jit(parallel=True)
def _region(caller, function, n_parts, packed):
    for part in prange(n_parts):
        _call(caller, function, np.intp(part), n_parts, packed)


@jit
def run_parts(function, n_parts, arguments):
    """Call a compiled function for every part, ``function(part, n_parts, *arguments)``, on n_parts threads.

    It is called by its address. So all numbers of threads run the same machine code, which is compiled and
    loaded once, and the parallel region itself, slow to compile, knows of nothing but whole numbers.
    """
    _region(_unpacking_call(arguments), function, n_parts, _packed(arguments))
