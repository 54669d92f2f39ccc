"""The three passes of a dense layer, every one an ``out = left @ right`` over a range that it owns."""

from __future__ import annotations

import re
from itertools import pairwise, product

import numba
import numpy as np
import pytest
import reference

from fastnn.kernels import dense, simd, sizes
from fastnn.kernels.activations import ACTIVATIONS, IDENTITY
from fastnn.kernels.dense import K_BLOCK
from fastnn.kernels.simd import padded
from fastnn.kernels.sizes import PAD, TILE_ROWS, TILE_VECS
from fastnn.network.layout import from_panels, panel_length

# Both sides of every edge of a vector (from 2 to 16 lanes) and of the tiles of 4, 2 and 1 of them.
WIDTHS = [*range(1, 41), *(n for edge in range(48, 160, 16) for n in (edge, edge + 1))]
PASSES = ("dense_forward", "dense_backward_data", "dense_backward_weights")


@pytest.fixture(params=PASSES)
def case(request, rng, dtype, poisoned, panelled):
    """Make one of the passes: ``case(n_own, n_cols, n_sum)`` is an (n_own, n_cols) sum over n_sum."""

    class Case:
        is_gradient = request.param == "dense_backward_weights"
        # The ways in which a pass may be given its right operand.
        stores = ("panels",) if is_gradient else ("panels", "whole rows")

        def __init__(self, n_own, n_cols, n_sum, activation=IDENTITY):
            self.n_own, self.n_cols, self.n_sum, self.activation = n_own, n_cols, n_sum, activation
            self.left = rng.standard_normal((n_own, n_sum)).astype(dtype)
            self.right = rng.standard_normal((n_sum, n_cols)).astype(dtype)
            self.bias = rng.standard_normal((1, n_cols)).astype(dtype)
            # Outputs that every activation can have, some where ReLU is off.
            self.a_in = np.maximum(rng.uniform(-0.5, 1, (n_own, n_cols)), 0).astype(dtype)
            # What follows the range of rows: the range of columns, for the pass that takes one.
            self.columns = (0, padded(n_cols)) if self.is_gradient else ()

        def inputs(self, store, capacity):
            """What the kernel takes; the panels have more rows than are used, and another number each."""
            left, right = self.left, self.right
            if self.is_gradient:
                return (
                    panelled(left.T, dtype, capacity),
                    panelled(right, dtype, capacity),
                    capacity,
                    self.n_sum,
                )
            if request.param == "dense_forward":
                right = np.vstack([right, self.bias])
            n_rows, stride = panel_length(len(right)) + 2, PAD
            if store == "panels":
                right, stride = panelled(right, dtype, n_rows), n_rows * PAD
            else:
                right = poisoned(right, dtype, extra_rows=1)
            product = panelled(left, dtype, capacity), right, capacity, stride
            if request.param == "dense_forward":
                return *product, self.activation, self.n_sum, self.n_cols
            return *product, panelled(self.a_in, dtype, capacity), self.activation, self.n_cols, self.n_sum

        def run(self, *bounds, store="panels", spare=2):
            """The kernel's output after a call for each range between the bounds, NaN where untouched."""
            out = np.full((self.n_own, self.n_cols), np.nan)
            capacity = panel_length((self.n_sum if self.is_gradient else self.n_own) + spare)
            out = poisoned(out, dtype) if self.is_gradient else panelled(out, dtype, capacity)
            inputs = self.inputs(store, capacity)
            for start, stop in pairwise(bounds):
                getattr(dense, request.param)(out, *inputs, start, stop, *self.columns)
            return out if self.is_gradient else from_panels(out, capacity)

        def expected(self):
            """The twin's output, in float64."""
            out = np.empty((self.n_own, self.n_cols + 1))
            if self.is_gradient:
                inputs = self.left.T, self.right, self.n_sum, 0, self.n_own, 0, self.n_cols
            elif request.param == "dense_forward":
                w, unit = np.vstack([self.right, self.bias]), np.ones((self.n_own, 1))
                a_in = np.hstack([self.left, unit])
                inputs = a_in, w, self.activation, self.n_sum, self.n_cols, 0, self.n_own
            else:
                activation = self.a_in, self.activation
                inputs = self.left, self.right, *activation, self.n_cols, self.n_sum, 0, self.n_own
            getattr(reference, request.param)(out, *reference.doubled(inputs))
            return out[:, :-1]

        def check(self):
            """Compare the whole output with the twin's; how the right operand is stored changes no bit."""
            comp, *others = (self.run(0, self.n_own, store=store) for store in self.stores)
            for other in others:
                np.testing.assert_array_equal(other, comp)
            # A sum of n products has an error of at most n eps / 2 of the sum of their sizes, whatever its
            # order; the twin's in float64 is as large. No activation is steeper than 1; 4 eps are its own.
            size = np.abs(self.left) @ np.abs(self.right)
            if request.param == "dense_forward":
                size += np.abs(self.bias)
            error = np.abs(comp[: self.n_own, : self.n_cols] - self.expected())
            bound = np.finfo(dtype).eps * ((self.n_sum + 2) * size + 4)
            assert (error <= bound).all(), (self.n_own, self.n_cols, self.n_sum)

    return Case


def test_every_tile_edge(case):
    for n_own, n_cols in product(range(1, 41), WIDTHS):
        case(n_own, n_cols, n_sum=1 + (7 * n_own + n_cols) % 40).check()


@pytest.mark.parametrize("n_sum", [1, 2, K_BLOCK - 1, K_BLOCK, K_BLOCK + 1, 2 * K_BLOCK, 2 * K_BLOCK + 17])
@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_blocks_of_the_sum(case, n_sum, activation):
    # The bias enters once, and the activation belongs to the complete sum: on that of a block it would show.
    case(9, 35, n_sum, activation).check()


@pytest.mark.parametrize("n_cols", [256, 512])
def test_many_panels(case, n_cols):
    case(7, n_cols, 5).check()


def test_outside_of_the_range_stays(case):
    one = case(23, 21, 30)
    for store in one.stores:
        whole = one.run(0, 23, store=store)
        for start, stop in [(0, 23), (1, 22), (5, 6), (6, 18), (7, 7), (22, 23)]:
            comp = one.run(start, stop, store=store)
            np.testing.assert_array_equal(comp[start:stop], whole[start:stop])
            assert np.isnan(np.delete(comp, np.s_[start:stop], axis=0)).all()


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_a_split_changes_no_bit(case, activation):
    one = case(23, 70, K_BLOCK + 30, activation)
    whole = one.run(0, 23)
    for store in one.stores:
        np.testing.assert_array_equal(one.run(*range(24), store=store), whole)
        for middle in range(1, 23):
            np.testing.assert_array_equal(one.run(0, middle, 23, store=store), whole)


def test_room_for_more_rows_changes_no_bit(case):
    one = case(23, 70, K_BLOCK + 30)
    ref = one.run(0, 23, spare=0)
    for spare in (1, 20, 400):
        np.testing.assert_array_equal(one.run(0, 23, spare=spare)[:23], ref[:23])


@pytest.mark.parametrize("case", ["dense_backward_weights"], indirect=True)
def test_blocks_of_the_gradient(case, poisoned, dtype):
    one = case(23, 150, K_BLOCK + 30)
    whole = one.run(0, 23)
    capacity = panel_length(one.n_sum + 4)
    for o0, o1 in [(0, 64), (64, 160), (16, 32), (48, 160), (80, 80)]:
        comp = poisoned(np.full((23, 150), np.nan), dtype)
        dense.dense_backward_weights(comp, *one.inputs("panels", capacity), 5, 20, o0, o1)
        np.testing.assert_array_equal(comp[5:20, o0:o1], whole[5:20, o0:o1])
        comp[5:20, o0:o1] = np.nan
        assert np.isnan(comp).all()


def test_a_second_call_changes_no_bit(case):
    one = case(8, 40, K_BLOCK + 1)
    np.testing.assert_array_equal(one.run(0, 8, 0, 8), one.run(0, 8))


def test_forward_writes_the_unit_and_no_more(poisoned, panelled, dtype):
    a_in, n_rows = panelled(np.ones((3, 2)), dtype, 5), 5
    for n_out in WIDTHS:
        a_out, w = panelled(np.full((3, n_out), np.nan), dtype, n_rows), poisoned(np.ones((3, n_out)), dtype)
        dense.dense_forward(a_out, a_in, w, n_rows, PAD, IDENTITY, 2, n_out, 0, 2)
        comp = from_panels(a_out, n_rows)
        np.testing.assert_array_equal(comp[:2, : n_out + 1], [[3] * n_out + [1]] * 2)
        assert np.isnan(comp[2:]).all()
        assert np.isnan(comp[:, max(padded(n_out), n_out + 1) :]).all()


def inner_loops(assembly):
    """Every straight run of instructions of a listing that ends in a jump back to its label."""
    labels, loops = {}, []
    lines = [line.strip() for line in assembly.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("#", ".p2align", ".cfi", ".loc"))]
    for number, line in enumerate(lines):
        if match := re.match(r"(\.L\w+):", line):
            labels = {match[1]: number}  # a label inside would be another place to jump to
        elif match := re.match(r"j\w+\s+(\.L\w+)", line):
            if match[1] in labels:
                loops.append(lines[labels[match[1]] : number])
            labels = {}
    return loops


REGISTERS = {64: "%zmm", 32: "%ymm"}


@pytest.mark.skipif(simd.WIDTH_BYTES not in REGISTERS, reason="looks for the names of x86's wide registers")
@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
@pytest.mark.parametrize("kernel", ["_tile", "_gradient_tile"])
def test_machine_code_of_the_product(kernel):
    """The inner loop of the largest tile: all multiply-adds at full width, and none of it in memory."""
    function, n_vecs = getattr(dense, kernel), TILE_VECS[simd.WIDTH_BYTES]

    # The cache keeps no listing.
    @numba.njit(error_model="numpy")
    def tile(*args):
        return function(simd.tile_shape(args[0], TILE_ROWS, n_vecs), *args)

    out, left, right = (np.zeros((5 * n, PAD), np.float32) for n in (9, 9, 65))
    if kernel == "_tile":
        tile(out, left, right, 9, 65 * PAD, 64, 0, 0, 0, 64, dense._Ahead(0, 0, 0), 0)
    else:
        tile(out, left, right, 9, 0, 0, 0, 9)
    loops = inner_loops("\n".join(tile.inspect_asm().values()))
    n_fma = TILE_ROWS * n_vecs
    counts = [sum("vfmadd" in line for line in loop) for loop in loops]
    found = [loop for loop, n in zip(loops, counts, strict=True) if n > 0 and n % n_fma == 0]
    assert found, counts
    for loop in found:
        for line in loop:
            assert "vfmadd" not in line or REGISTERS[simd.WIDTH_BYTES] in line
            assert "(%rsp" not in line, line


@pytest.mark.parametrize("width", TILE_VECS)
def test_blocks_of_the_sum_are_whole_panels(monkeypatch, width):
    for l1, l2 in [(32, 256), (48, 1280), (16, 128), (256, 4096), (37, 300)]:
        monkeypatch.setattr(sizes, "L1_BYTES", l1 * 1024)
        monkeypatch.setattr(sizes, "L2_BYTES", l2 * 1024)
        n = sizes.sum_block(width)
        assert n % PAD == 0
        assert 256 <= n <= 1024


def test_blocks_are_whole_panels_and_tiles():
    assert sizes.BLOCK_ROWS % PAD == sizes.BLOCK_COLS % PAD == sizes.ROW_BLOCK % PAD == 0
    assert sizes.BLOCK_ROWS > 0
    assert sizes.ROW_BLOCK % TILE_ROWS == 0
    assert sizes.sum_block(simd.WIDTH_BYTES) == K_BLOCK
