"""Vector and register-tile primitives, of which the loops of the dense kernels are written.

A *tile* is a block of ``rows x (vecs * lanes)`` accumulators that lives in vector registers. To numba
it is one value of :class:`TileType`; to LLVM one aggregate of vectors, which it keeps in registers
through a loop. The operations on it (`tile_zeros`, `tile_load`, `tile_add_outer`, `tile_store`) are
intrinsics that emit a handful of instructions each; the loops around them stay plain Python. A
*shape* (:func:`tile_shape`) is a value without content whose type says rows and vecs: a compiled
function that takes one is specialised by it.

A *matrix* (:func:`matrix`) is a view of part of a flat vector without a reference count: making one
costs nothing, and threads that make them do not contend for a counter.

*Panels* are how matrices are stored that are multiplied: PAD columns after the other, the rows of each panel
behind each other. A matrix of `n_rows` rows and 3 PAD columns in panels is a C-contiguous array of shape
(3 n_rows, PAD), which has element (r, c) at ``[c // PAD * n_rows + r, c % PAD]``. A product reads it as one
stream, which prefetchers and TLB follow; the rows of an ordinary matrix are each on another page. Tiles are
loaded and stored in both forms: their `stride` is the distance in elements from a panel to the next,
``n_rows * PAD``, and PAD in an ordinary matrix, whose rows are whole. Of up to PAD columns both forms are the
same.

Under ``NUMBA_DISABLE_JIT=1`` the same names are NumPy functions, so that every kernel can be stepped
through in a debugger. They stand beside the intrinsics in this file, which is longer than others for that.
"""

from __future__ import annotations

import functools
from types import SimpleNamespace

import llvmlite.binding as llvm
import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils, errors, types
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

from .._jit import jit
from .sizes import PAD

VECTOR_BYTES = {"avx512f": 64, "avx": 32}
CACHE_LINE = 64
SMALLEST_VECTOR_BYTES = 16  # SSE2 and NEON

# CPU names that tests and users give in NUMBA_CPU_NAME; any other falls to the smallest vectors, which
# are right everywhere.
_NAMED_CPU_BYTES = {
    "x86-64-v4": 64,
    "skylake-avx512": 64,
    "icelake-server": 64,
    "sapphirerapids": 64,
    "znver4": 64,
    "znver5": 64,
    "x86-64-v3": 32,
    "haswell": 32,
    "broadwell": 32,
    "skylake": 32,
    "znver1": 32,
    "znver2": 32,
    "znver3": 32,
}


def _host_vector() -> tuple[int, bool]:
    """Width in bytes of the target CPU's vectors, and whether it multiplies and adds in one step."""
    name = numba.config.CPU_NAME
    if name and name != llvm.get_host_cpu_name():
        width = _NAMED_CPU_BYTES.get(name, SMALLEST_VECTOR_BYTES)
        return width, width > SMALLEST_VECTOR_BYTES
    features = llvm.get_host_cpu_features()
    if "aarch64" in llvm.get_process_triple() or "arm64" in llvm.get_process_triple():
        return SMALLEST_VECTOR_BYTES, True
    for feature, width in VECTOR_BYTES.items():
        if features.get(feature):
            return width, bool(features.get("fma"))
    return SMALLEST_VECTOR_BYTES, False


WIDTH_BYTES, HAS_FMA = _host_vector()


def lanes(dtype: npt.DTypeLike) -> int:
    """Number of elements of `dtype` in one vector register of the target CPU."""
    return WIDTH_BYTES // np.dtype(dtype).itemsize


@jit
def padded(n):
    """`n` rounded up to whole panels."""
    return (n + PAD - 1) // PAD * PAD


class TileType(types.Type):
    """numba type of a register tile: `rows` x (`vecs` vectors of `dtype`)."""

    def __init__(self, dtype, rows: int, vecs: int) -> None:
        self.dtype, self.rows, self.vecs = dtype, rows, vecs
        self.lanes = WIDTH_BYTES // (dtype.bitwidth // 8)
        super().__init__(name=f"tile({rows} x {vecs} x {self.lanes} {dtype})")


@register_model(TileType)
class _TileModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type) -> None:
        super().__init__(dmm, fe_type, _tile_ir(fe_type))


class TileShapeType(types.Opaque):
    """numba type of a tile's shape: carries the tile's type, has no content."""

    def __init__(self, tile: TileType) -> None:
        self.tile = tile
        super().__init__(name=f"shape of {tile.name}")


register_model(TileShapeType)(models.OpaqueModel)


def _element_ir(tile: TileType):
    return ir.FloatType() if tile.dtype.bitwidth == 32 else ir.DoubleType()


def _tile_ir(tile: TileType):
    vector = ir.VectorType(_element_ir(tile), tile.lanes)
    return ir.ArrayType(vector, tile.rows * tile.vecs)


def _address(context, builder, array_type, array, row, col):
    """Pointer to ``array[row, col]`` of a C-contiguous matrix, and the number of elements of a row."""
    view = cgutils.create_struct_proxy(array_type)(context, builder, array)
    _, row_length = cgutils.unpack_tuple(builder, view.shape, 2)
    return builder.gep(view.data, [builder.add(builder.mul(row, row_length), col)]), row_length


def _vector_pointer(builder, pointer, vector, offset):
    return builder.bitcast(builder.gep(pointer, [offset]), vector.as_pointer())


def _intp(value: int):
    return ir.Constant(ir.IntType(64), value)


def _fma(builder, a, b, c):
    """``a * b + c`` of vectors or scalars: one instruction, or two where the CPU has none for it."""
    if not HAS_FMA:
        return builder.fadd(builder.fmul(a, b), c)
    # llvmlite's declare_intrinsic knows no vector types: declare by name.
    element, prefix = (
        (a.type.element, f"v{a.type.count}") if isinstance(a.type, ir.VectorType) else (a.type, "")
    )
    letter = "f32" if isinstance(element, ir.FloatType) else "f64"
    kind = ir.FunctionType(a.type, [a.type] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.{prefix}{letter}")
    return builder.call(function, [a, b, c])


@intrinsic
def fused_multiply_add(typingctx, a, b, c):
    """``a * b + c`` of three numbers of one dtype, rounded once where the CPU can."""

    def codegen(context, builder, signature, args):
        return _fma(builder, *args)

    return a(a, a, a), codegen


def _splat(builder, scalar, vector):
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, undefined, mask)


@intrinsic(prefer_literal=True)
def tile_shape(typingctx, like, rows, vecs):
    """The shape of tiles of `rows` x `vecs` vectors (both literal) of the dtype of array `like`."""
    shape = TileShapeType(TileType(like.dtype, rows.literal_value, vecs.literal_value))

    def codegen(context, builder, signature, args):
        return context.get_dummy_value()

    return shape(like, rows, vecs), codegen


@intrinsic
def tile_zeros(typingctx, shape):
    """A tile of zeros."""
    tile = shape.tile

    def codegen(context, builder, signature, args):
        return ir.Constant(_tile_ir(tile), None)

    return tile(shape), codegen


def _tile_pointers(context, builder, tile, array_type, array, row, col, stride=None):
    """Pointer to each vector of the tile's place in ``array[row:, col:]``, row by row.

    Tiles of up to PAD columns are inside a panel, wider ones begin where one begins. Without a `stride`, rows
    are whole.
    """
    width = _intp(PAD)
    stride = width if stride is None else stride
    panel = builder.mul(builder.lshr(col, _intp(PAD.bit_length() - 1)), stride)
    within = builder.and_(col, _intp(PAD - 1))
    base, row_length = _address(context, builder, array_type, array, row, builder.add(panel, within))
    vector = ir.VectorType(_element_ir(tile), tile.lanes)
    for t in range(tile.rows):
        start = builder.mul(_intp(t), row_length)
        for v in range(tile.vecs):
            number, place = divmod(v * tile.lanes, PAD)
            offset = builder.add(builder.mul(_intp(number), stride), _intp(place))
            yield _vector_pointer(builder, base, vector, builder.add(start, offset))


@intrinsic
def tile_load(typingctx, shape, array, row, col, stride):
    """Load the tile whose first element is [row, col] of a matrix in panels, or of whole rows."""
    tile = shape.tile

    def codegen(context, builder, signature, args):
        value = ir.Constant(_tile_ir(tile), ir.Undefined)
        pointers = _tile_pointers(context, builder, tile, array, *args[1:])
        for place, pointer in enumerate(pointers):
            vector = builder.load(pointer, align=tile.dtype.bitwidth // 8)
            value = builder.insert_value(value, vector, place)
        return value

    n = types.intp
    return tile(shape, array, n, n, n), codegen


@intrinsic
def tile_repeat(typingctx, shape, array, row, col, stride):
    """A tile every row of which is row `row` of a matrix in panels, or of whole rows, from `col` on."""
    tile = shape.tile

    def codegen(context, builder, signature, args):
        value = ir.Constant(_tile_ir(tile), ir.Undefined)
        for v, vector in enumerate(_row_vectors(context, builder, tile, array, *args[1:])):
            for t in range(tile.rows):
                value = builder.insert_value(value, vector, t * tile.vecs + v)
        return value

    n = types.intp
    return tile(shape, array, n, n, n), codegen


@intrinsic
def line_copy(typingctx, out, out_row, out_col, array, row, col):
    """``out[out_row, out_col + c] = array[row, col + c]`` for c below PAD."""
    if out.dtype != array.dtype:  # it copies bits
        raise errors.TypingError(f"line_copy from {array.dtype} to {out.dtype}")
    align = array.dtype.bitwidth // 8
    vector = ir.VectorType(_element_ir(TileType(array.dtype, 1, 1)), PAD)

    def codegen(context, builder, signature, args):
        to, _ = _address(context, builder, out, *args[:3])
        source, _ = _address(context, builder, array, *args[3:])
        loaded = builder.load(builder.bitcast(source, vector.as_pointer()), align=align)
        builder.store(loaded, builder.bitcast(to, vector.as_pointer()), align=align)
        return context.get_dummy_value()

    n = types.intp
    return types.void(out, n, n, array, n, n), codegen


@intrinsic
def vector_load(typingctx, array, row, col, stride, stop, fill):
    """Load the vector at [row, col] of a matrix as :func:`tile_load`, with `fill` from column `stop` on."""
    vector = TileType(array.dtype, 1, 1)

    def codegen(context, builder, signature, args):
        (pointer,) = _tile_pointers(context, builder, vector, array, *args[:4])
        kind = ir.VectorType(_element_ir(vector), vector.lanes)
        loaded = builder.load(pointer, align=array.dtype.bitwidth // 8)
        # Columns as 32-bit numbers: as many lanes as the elements have.
        lane = ir.VectorType(ir.IntType(32), vector.lanes)
        left = builder.trunc(builder.sub(args[4], args[2]), ir.IntType(32))
        columns = ir.Constant(lane, list(range(vector.lanes)))
        inside = builder.icmp_signed("<", columns, _splat(builder, left, lane))
        chosen = builder.select(inside, loaded, _splat(builder, args[5], kind))
        return builder.insert_value(ir.Constant(_tile_ir(vector), ir.Undefined), chosen, 0)

    n = types.intp
    return vector(array, n, n, n, n, array.dtype), codegen


def _larger(builder, a, b):
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def _elementwise(name, doc, combine):
    """An intrinsic that combines two tiles of one shape element by element."""

    def function(typingctx, a, b):
        def codegen(context, builder, signature, args):
            value = args[0]
            for place in range(a.rows * a.vecs):
                pair = [builder.extract_value(arg, place) for arg in args]
                value = builder.insert_value(value, combine(builder, *pair), place)
            return value

        return a(a, a), codegen

    function.__name__, function.__doc__ = name, doc
    return intrinsic(function)


def _reduction(name, doc, combine):
    """An intrinsic that combines all elements of a vector: halves with each other, always in one order."""

    def function(typingctx, vector):
        def codegen(context, builder, signature, args):
            value, n = builder.extract_value(args[0], 0), vector.lanes
            while n > 1:
                n //= 2
                lanes_of = ir.VectorType(ir.IntType(32), n)
                halves = [ir.Constant(lanes_of, [h * n + k for k in range(n)]) for h in (0, 1)]
                value = combine(builder, *(builder.shuffle_vector(value, value, half) for half in halves))
            return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

        return vector.dtype(vector), codegen

    function.__name__, function.__doc__ = name, doc
    return intrinsic(function)


tile_max = _elementwise("tile_max", "The larger of each two elements; of a NaN and a number either.", _larger)
tile_add = _elementwise("tile_add", "The sum of each two elements.", ir.IRBuilder.fadd)
tile_multiply = _elementwise("tile_multiply", "The product of each two elements.", ir.IRBuilder.fmul)
vector_max = _reduction("vector_max", "The largest element of a vector; NaN are passed over.", _larger)
vector_sum = _reduction("vector_sum", "The sum of a vector's elements.", ir.IRBuilder.fadd)


@intrinsic
def tile_store(typingctx, tile, array, row, col, stride):
    """Write the tile to a matrix in panels, or of whole rows, with its first element at [row, col]."""

    def codegen(context, builder, signature, args):
        pointers = _tile_pointers(context, builder, tile, array, *args[1:])
        for place, pointer in enumerate(pointers):
            vector = builder.extract_value(args[0], place)
            builder.store(vector, pointer, align=tile.dtype.bitwidth // 8)
        return context.get_dummy_value()

    n = types.intp
    return types.void(tile, array, n, n, n), codegen


def _row_vectors(context, builder, tile, array_type, array, row, col, stride):
    """The vectors of ``array[row, col:]``, as many as a row of the tile has."""
    one = TileType(tile.dtype, 1, tile.vecs)
    align = tile.dtype.bitwidth // 8
    pointers = _tile_pointers(context, builder, one, array_type, array, row, col, stride)
    return [builder.load(pointer, align=align) for pointer in pointers]


@intrinsic(prefer_literal=True)
def tile_add_outer(typingctx, tile, left, row, col, down, right, k, right_col, stride):
    """``tile[t, c] += left_t * right[k, right_col + c]``; `right` is in panels, or of whole rows.

    left : (rows, PAD), the array of a matrix in panels
    down : literal; left_t is ``left[row + t, col]`` if it is 1, ``left[row, col + t]`` if it is 0
    """
    apart = PAD if down.literal_value else 1

    def codegen(context, builder, signature, args):
        value, a, row, col, _, *b = args
        vector = ir.VectorType(_element_ir(tile), tile.lanes)
        loaded = _row_vectors(context, builder, tile, right, *b)
        view = cgutils.create_struct_proxy(left)(context, builder, a)
        start = builder.gep(view.data, [builder.add(builder.mul(row, _intp(PAD)), col)])
        for t in range(tile.rows):
            element = builder.load(builder.gep(start, [_intp(t * apart)]))
            splatted = _splat(builder, element, vector)
            for v in range(tile.vecs):
                place = t * tile.vecs + v
                total = _fma(builder, splatted, loaded[v], builder.extract_value(value, place))
                value = builder.insert_value(value, total, place)
        return value

    n = types.intp
    return tile(tile, left, n, n, down, right, n, n, n), codegen


@intrinsic
def tile_add_scaled(typingctx, tile, factor, right, row, col, stride):
    """``tile[0, c] += factor * right[row, col + c]`` of a tile of one row."""

    def codegen(context, builder, signature, args):
        value, factor, *b = args
        splatted = _splat(builder, factor, ir.VectorType(_element_ir(tile), tile.lanes))
        for v, loaded in enumerate(_row_vectors(context, builder, tile, right, *b)):
            total = _fma(builder, splatted, loaded, builder.extract_value(value, v))
            value = builder.insert_value(value, total, v)
        return value

    n = types.intp
    return tile(tile, right.dtype, right, n, n, n), codegen


def _prefetch(builder, start, n_bytes, level):
    byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    start = builder.bitcast(start, byte)
    for offset in range(0, n_bytes, CACHE_LINE):
        line = builder.gep(start, [_intp(offset)])
        # to read, of that locality, data
        builder.call(function, [line, flag(0), flag(4 - level), flag(1)])


@intrinsic(prefer_literal=True)
def prefetch(typingctx, array, row, col, n_bytes, level):
    """Prefetch the `n_bytes` from ``array[row, col]`` on, into cache `level` (1 or 2), both literal.

    It may reach past the array.
    """

    def codegen(context, builder, signature, args):
        start, _ = _address(context, builder, array, *args[:3])
        _prefetch(builder, start, n_bytes.literal_value, level.literal_value)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, n_bytes, level), codegen


@intrinsic(prefer_literal=True)
def tile_prefetch(typingctx, shape, array, row, col, stride, level):
    """Prefetch a row of a tile, from ``array[row, col]`` on, into cache `level` (1 or 2), a literal."""
    one = TileType(shape.tile.dtype, 1, shape.tile.vecs)
    n_vecs = CACHE_LINE // WIDTH_BYTES  # of a cache line

    def codegen(context, builder, signature, args):
        pointers = _tile_pointers(context, builder, one, array, *args[1:5])
        for pointer in list(pointers)[::n_vecs]:
            _prefetch(builder, pointer, 1, level.literal_value)
        return context.get_dummy_value()

    n = types.intp
    return types.void(shape, array, n, n, n, level), codegen


@intrinsic
def transpose_square(typingctx, out, out_row, out_col, a, row, col):
    """``out[out_row + c, out_col + r] = a[row + r, col + c]`` for r and c below the number of lanes."""
    n = WIDTH_BYTES // (a.dtype.bitwidth // 8)

    def codegen(context, builder, signature, args):
        out_value, out_row, out_col, a_value, row, col = args
        square = TileType(a.dtype, n, 1)
        align = a.dtype.bitwidth // 8
        rows = [
            builder.load(pointer, align=align)
            for pointer in _tile_pointers(context, builder, square, a, a_value, row, col)
        ]
        # Interleaving row k with row k + n / 2, log2(n) times over, is a transposition.
        lanes_of = ir.VectorType(ir.IntType(32), n)
        halves = [
            ir.Constant(lanes_of, [half + place // 2 + place % 2 * n for place in range(n)])
            for half in (0, n // 2)
        ]
        for _ in range(n.bit_length() - 1):
            rows = [
                builder.shuffle_vector(rows[k], rows[k + n // 2], mask)
                for k in range(n // 2)
                for mask in halves
            ]
        pointers = _tile_pointers(context, builder, square, out, out_value, out_row, out_col)
        for value, pointer in zip(rows, pointers, strict=True):
            builder.store(value, pointer, align=align)
        return context.get_dummy_value()

    n_type = types.intp
    return types.void(out, n_type, n_type, a, n_type, n_type), codegen


def array_at(context, builder, kind, data, shape):
    """The code of a C-contiguous array of the numba type `kind` at an address, which nobody owns."""
    view = cgutils.create_struct_proxy(kind)(context, builder)
    size = _intp(context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    strides = [size]
    for n in reversed(shape[1:]):
        strides.insert(0, builder.mul(n, strides[0]))
    view.data = builder.bitcast(data, view.data.type)
    view.shape, view.strides = cgutils.pack_array(builder, shape), cgutils.pack_array(builder, strides)
    view.nitems = functools.reduce(builder.mul, shape)
    view.itemsize = size
    view.meminfo = cgutils.get_null_value(view.meminfo.type)
    view.parent = cgutils.get_null_value(view.parent.type)
    return view._getvalue()


@intrinsic
def matrix(typingctx, flat, offset, n_rows, row_length):
    """View of ``flat[offset : offset + n_rows * row_length]`` as a C-contiguous matrix.

    It borrows the memory: the caller keeps `flat` alive. It may reach outside of `flat`, so that a block
    has the indices of the matrix it is part of, as long as nobody reads or writes there.
    """
    result = types.Array(flat.dtype, 2, "C")

    def codegen(context, builder, signature, args):
        source = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0])
        return array_at(context, builder, result, builder.gep(source.data, [args[1]]), [args[2], args[3]])

    n = types.intp
    return result(flat, n, n, n), codegen


@intrinsic
def as_one_row(typingctx, array, r0, r1):
    """View of rows r0 to r1 of a C-contiguous matrix as a matrix of one row, without a reference count."""

    def codegen(context, builder, signature, args):
        source = cgutils.create_struct_proxy(array)(context, builder, args[0])
        _, row_length = cgutils.unpack_tuple(builder, source.shape, 2)
        n = builder.mul(builder.sub(args[2], args[1]), row_length)
        data = builder.gep(source.data, [builder.mul(args[1], row_length)])
        return array_at(context, builder, array, data, [_intp(1), n])

    return array(array, types.intp, types.intp), codegen


def without_counts(context, builder, kind, given):
    """The code of :func:`borrowed`, for a value of the numba type `kind`."""
    if isinstance(kind, types.Array):
        view = cgutils.create_struct_proxy(kind)(context, builder, given)
        view.meminfo = cgutils.get_null_value(view.meminfo.type)
        view.parent = cgutils.get_null_value(view.parent.type)
        return view._getvalue()
    if isinstance(kind, types.BaseTuple):
        for place, part in enumerate(kind):
            inside = without_counts(context, builder, part, builder.extract_value(given, place))
            given = builder.insert_value(given, inside, place)
    return given


@intrinsic
def borrowed(typingctx, value):
    """An array, or a tuple of arrays and numbers, without its reference counts.

    For the first lines of a kernel whose caller keeps the arrays alive. numba counts references wherever an
    array is taken out of a tuple, with atomic instructions that two threads contend for: in a step of a small
    network that took longer than the arithmetic.
    """

    def codegen(context, builder, signature, args):
        return without_counts(context, builder, value, args[0])

    return value(value), codegen


if numba.config.DISABLE_JIT:

    def borrowed(value):
        """NumPy form."""
        return value

    def tile_shape(like, rows, vecs):
        """NumPy form: the tile's shape as a tuple, and its dtype."""
        return (rows, vecs * lanes(like.dtype)), like.dtype

    def tile_zeros(shape):
        """NumPy form."""
        return np.zeros(shape[0], shape[1])

    def _places(array, row, col, stride, n_rows, n_cols):
        """Places of ``[row : row + n_rows, col : col + n_cols]`` in the array's memory."""
        rows, columns = np.arange(row, row + n_rows), np.arange(col, col + n_cols)
        return rows[:, None] * array.shape[1] + columns // PAD * stride + columns % PAD

    def tile_load(shape, array, row, col, stride):
        """NumPy form."""
        return array.reshape(-1)[_places(array, row, col, stride, *shape[0])]

    def tile_repeat(shape, array, row, col, stride):
        """NumPy form."""
        n_rows, n_cols = shape[0]
        line = array.reshape(-1)[_places(array, row, col, stride, 1, n_cols)]
        return np.repeat(line, n_rows, axis=0)

    def line_copy(out, out_row, out_col, array, row, col):
        """NumPy form."""
        out[out_row, out_col : out_col + PAD] = array[row, col : col + PAD]

    def vector_load(array, row, col, stride, stop, fill):
        """NumPy form."""
        n = lanes(array.dtype)
        loaded = array.reshape(-1)[_places(array, row, col, stride, 1, n)[0]]
        return np.where(np.arange(col, col + n) < stop, loaded, fill).astype(array.dtype)

    def tile_max(a, b):
        """NumPy form."""
        return np.fmax(a, b)

    def tile_add(a, b):
        """NumPy form."""
        return a + b

    def tile_multiply(a, b):
        """NumPy form."""
        return a * b

    def vector_max(vector):
        """NumPy form."""
        return np.fmax.reduce(vector)

    def vector_sum(vector):
        """NumPy form, the halves in the same order."""
        while vector.size > 1:
            vector = vector[: vector.size // 2] + vector[vector.size // 2 :]
        return vector[0]

    def tile_store(tile, array, row, col, stride):
        """NumPy form."""
        tile = np.atleast_2d(tile)
        array.reshape(-1)[_places(array, row, col, stride, *tile.shape)] = tile

    def tile_add_outer(tile, left, row, col, down, right, k, right_col, stride):
        """NumPy form."""
        n_rows, n_cols = tile.shape
        of_rows = left[row : row + n_rows, col] if down else left[row, col : col + n_rows]
        of_cols = right.reshape(-1)[_places(right, k, right_col, stride, 1, n_cols)[0]]
        return tile + np.outer(of_rows, of_cols)

    def tile_add_scaled(tile, factor, right, row, col, stride):
        """NumPy form."""
        places = _places(right, row, col, stride, *np.atleast_2d(tile).shape)
        return tile + factor * right.reshape(-1)[places]

    def prefetch(array, row, col, n_bytes, level):
        """NumPy form."""

    def tile_prefetch(shape, array, row, col, stride, level):
        """NumPy form."""

    def transpose_square(out, out_row, out_col, a, row, col):
        """NumPy form."""
        n = lanes(a.dtype)
        out[out_row : out_row + n, out_col : out_col + n] = a[row : row + n, col : col + n].T

    def fused_multiply_add(a, b, c):
        """NumPy form, rounded twice."""
        return a * b + c

    def as_one_row(array, r0, r1):
        """NumPy form."""
        return array[r0:r1].reshape(1, -1)

    def matrix(flat, offset, n_rows, row_length):
        """NumPy form, from the address: it, too, may reach outside of `flat`."""
        address = int(flat.ctypes.data + offset * flat.itemsize)
        interface = {
            "version": 3,
            "data": (address, False),
            "shape": (n_rows, row_length),
            "typestr": flat.dtype.str,
        }
        return np.asarray(SimpleNamespace(__array_interface__=interface))
