"""The three passes of a dense layer, every one an ``out = left @ right`` over a range that it owns."""

from __future__ import annotations

import re
from itertools import pairwise, product

import numba
import numpy as np
import pytest
import reference

from fastnn.kernels import dense, simd
from fastnn.kernels.activations import ACTIVATIONS, IDENTITY
from fastnn.kernels.simd import padded
from fastnn.kernels.sizes import K_BLOCK, TILE_ROWS, TILE_VECS

# Both sides of every edge of a vector (from 2 to 16 lanes) and of the panels of 4, 2 and 1 of them.
WIDTHS = [*range(1, 41), *(n for edge in range(48, 160, 16) for n in (edge, edge + 1))]
PASSES = ("dense_forward", "dense_backward_data", "dense_backward_weights")


@pytest.fixture(params=PASSES)
def case(request, rng, dtype, poisoned):
    """Make one of the passes: ``case(n_own, n_cols, n_sum)`` is an (n_own, n_cols) sum over n_sum."""

    class Case:
        def __init__(self, n_own, n_cols, n_sum, activation=IDENTITY):
            self.n_own, self.n_cols, self.n_sum = n_own, n_cols, n_sum
            self.left = rng.standard_normal((n_own, n_sum)).astype(dtype)
            self.right = rng.standard_normal((n_sum, n_cols)).astype(dtype)
            left, right = poisoned(self.left, dtype), poisoned(self.right, dtype)
            if request.param == "dense_forward":
                self.inputs = left, right, activation, n_sum - 1, n_cols
            elif request.param == "dense_backward_data":
                # Outputs that every activation can have, some where ReLU is off.
                a_in = np.maximum(rng.uniform(-0.5, 1, (n_own, n_cols)), 0)
                self.inputs = left, right, poisoned(a_in, dtype), activation, n_cols, n_sum
            else:
                # The buffers of a batch may have more rows than the batch.
                left, right = poisoned(self.left.T, dtype, 3), poisoned(self.right, dtype, 3)
                self.inputs = left, right, n_sum

            # What follows the range of rows: the range of columns, for the pass that takes one.
            self.columns = (0, padded(n_cols)) if request.param == "dense_backward_weights" else ()

        def run(self, *bounds):
            """The kernel's output after a call for each range between the bounds, NaN where untouched."""
            out = poisoned(np.full((self.n_own, self.n_cols), np.nan), dtype)
            for start, stop in pairwise(bounds):
                getattr(dense, request.param)(out, *self.inputs, start, stop, *self.columns)
            return out

        def check(self):
            """Compare the whole output with the twin's."""
            comp = self.run(0, self.n_own)[:, : self.n_cols]
            ref = np.empty((self.n_own, self.n_cols + 1))
            columns = (0, self.n_cols) if self.columns else ()
            getattr(reference, request.param)(ref, *reference.doubled(self.inputs), 0, self.n_own, *columns)
            # A sum of n products has an error of at most n eps / 2 of the sum of their sizes, whatever its
            # order; the twin's in float64 is as large. No activation is steeper than 1; 4 eps are its own.
            size = np.abs(self.left) @ np.abs(self.right)
            error, bound = np.abs(comp - ref[:, :-1]), np.finfo(dtype).eps * ((self.n_sum + 2) * size + 4)
            assert (error <= bound).all(), (self.n_own, self.n_cols, self.n_sum)

    return Case


def test_every_tile_edge(case):
    for n_own, n_cols in product(range(1, 41), WIDTHS):
        case(n_own, n_cols, n_sum=1 + (7 * n_own + n_cols) % 40).check()


@pytest.mark.parametrize("n_sum", [1, 2, K_BLOCK - 1, K_BLOCK, K_BLOCK + 1, 2 * K_BLOCK, 2 * K_BLOCK + 17])
@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_blocks_of_the_sum(case, n_sum, activation):
    # The activation belongs to the complete sum: on that of a block it would show.
    case(9, 35, n_sum, activation).check()


@pytest.mark.parametrize("n_cols", [256, 512])
def test_row_lengths_off_the_power_of_two(case, n_cols):
    case(7, n_cols, 5).check()


def test_outside_of_the_range_stays(case):
    one = case(23, 21, 30)
    whole = one.run(0, 23)
    for start, stop in [(0, 23), (1, 22), (5, 6), (6, 18), (7, 7), (22, 23)]:
        comp = one.run(start, stop)
        np.testing.assert_array_equal(comp[start:stop], whole[start:stop])
        assert np.isnan(np.delete(comp, np.s_[start:stop], axis=0)).all()


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_a_split_changes_no_bit(case, activation):
    one = case(23, 70, K_BLOCK + 30, activation)
    whole = one.run(0, 23)
    np.testing.assert_array_equal(one.run(*range(24)), whole)
    for middle in range(1, 23):
        np.testing.assert_array_equal(one.run(0, middle, 23), whole)


@pytest.mark.parametrize("case", ["dense_backward_weights"], indirect=True)
def test_blocks_of_the_gradient(case, poisoned, dtype):
    one = case(23, 150, K_BLOCK + 30)
    whole = one.run(0, 23)
    for o0, o1 in [(0, 64), (64, 160), (16, 32), (48, 160), (80, 80)]:
        comp = poisoned(np.full((23, 150), np.nan), dtype)
        dense.dense_backward_weights(comp, *one.inputs, 5, 20, o0, o1)
        np.testing.assert_array_equal(comp[5:20, o0:o1], whole[5:20, o0:o1])
        comp[5:20, o0:o1] = np.nan
        assert np.isnan(comp).all()


def test_a_second_call_changes_no_bit(case):
    one = case(8, 40, K_BLOCK + 1)
    np.testing.assert_array_equal(one.run(0, 8, 0, 8), one.run(0, 8))


def test_forward_writes_the_unit_and_no_more(poisoned, dtype):
    for n_out in WIDTHS:
        a_out = poisoned(np.full((3, n_out), np.nan), dtype)
        a_in, w = poisoned(np.ones((3, 2)), dtype), poisoned(np.ones((2, n_out)), dtype)
        dense.dense_forward(a_out, a_in, w, IDENTITY, 1, n_out, 0, 2)
        np.testing.assert_array_equal(a_out[:2, : n_out + 1], [[2] * n_out + [1]] * 2)
        assert np.isnan(a_out[2]).all()
        assert np.isnan(a_out[:, max(padded(n_out), n_out + 1) :]).all()


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


@pytest.mark.skipif(simd.WIDTH_BYTES < 64, reason="looks for the names of 512-bit registers")
@pytest.mark.parametrize("order", ["C", "F"])
def test_machine_code_of_the_product(order):
    """The inner loop of the largest tile: all multiply-adds at full width, and none of it in memory."""
    panel = dense._widest_panel_product
    product = numba.njit(lambda *args: panel(*args), error_model="numpy")  # the cache keeps no listing
    arrays = (
        np.zeros((6, 64), np.float32),
        np.zeros((6, 64), np.float32, order=order),
        np.zeros((64, 64), "f4"),
    )
    product(*arrays, 0, 6, 0, 0, 64, 0, 6, 6)
    loops = inner_loops("\n".join(product.inspect_asm().values()))
    n_fma = TILE_ROWS * TILE_VECS[simd.WIDTH_BYTES]
    found = [loop for loop in loops if sum("vfmadd" in line for line in loop) % n_fma == 0]
    found = [loop for loop in found if any("vfmadd" in line for line in loop)]
    assert found, [len(loop) for loop in loops]
    for loop in found:
        for line in loop:
            assert "vfmadd" not in line or "%zmm" in line
            assert "(%rsp" not in line, line
