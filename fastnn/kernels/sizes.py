"""Tile shapes, block sizes and cut-offs: numbers only, each with what chose it.

Measured on 2 cores of a Zen 4 server CPU (AVX-512, 32 KiB L1, 1 MiB L2), float32, unless said otherwise.
Sizes of blocks follow from the cache sizes of the CPU at hand, as in Low et al. (2016), "Analytical Modeling
Is Enough for High-Performance BLIS".
"""

from __future__ import annotations

from .caches import L1_BYTES, L2_BYTES

# Columns of a panel, the unit in which the kernels store and multiply matrices: a cache line of float32, so
# that no vector operation meets a ragged column at any vector width.
PAD = 16

# Register tile: TILE_ROWS x TILE_VECS vectors of accumulators. By vector width in bytes: 512-bit CPUs and
# ARM have 32 vector registers, the others 16. On AVX-512, GFLOP/s at 384 x 768 x 768, where a loop that
# touches only registers reaches 117: 6 x 4 gives 110, 8 x 3 109, 12 x 2 74 (it spills).
TILE_ROWS = 6
TILE_VECS = {64: 4, 32: 2, 16: 2}

# Columns that are left over by them are computed a vector at a time, where TILE_VECS vectors are more than a
# panel. Then 8 rows make as many accumulators as multiply-adds are under way at once.
HAS_NARROW_TILES = {64: True, 32: False, 16: False}
NARROW_ROWS = 8

# Rows of the tiles for the rows left over, with 8 accumulators in TILE_VECS vectors, for the same reason;
# after them come single rows. A transposed panel has 16 columns, which are 6 + 6 + 4 or 8 + 8.
LOW_ROWS = {64: 2, 32: 4, 16: 4}
GRADIENT_LOW_ROWS = 4


def sum_block(width_bytes: int) -> int:
    """Return the number of elements of the summed axis that one pass over the columns of a tile takes.

    That part of the right operand stays in half of L1 while all row tiles pass over it; if that is less than
    256 elements, in an eighth of L2. GFLOP/s of forward on Zen 5 (48 KiB, 1 MiB; peak 135 with AVX2, 269 with
    AVX-512) at 512 x 2048 x 2048: with AVX2 256 elements give 130, 384 127, 512 124; with AVX-512 256 give
    246, 512 254.
    """
    row = TILE_VECS[width_bytes] * width_bytes
    n = L1_BYTES // 2 // row
    if n < 256:
        n = L2_BYTES // 8 // row
    return max(256, min(1024, n // 128 * 128))


# While a tile is summed, the right operand of the next one is fetched: this many rows of it every PAD steps
# of the sum. GFLOP/s of forward on Zen 5 with AVX2, without and with: 66 x 2048 x 2048 112 and 130,
# 240 x 2048 x 2048 127 and 132; where all fits L2 the same within 1 %.
FETCHED_ROWS = 2

# Whether the product of the forward pass reads the weights from a copy in panels. Rows of a tile of 512-bit
# vectors are 4 cache lines, which prefetchers follow from row to row: there the copy takes the time that it
# saves (784-512-512-10, batch 128, on Zen 5: a step of 1860 us with, 1800 without). Those of shorter vectors
# are a single line; on Zen 3 with AVX2, panels make 65 to 85 GFLOP/s of 28 to 49.
PACKS_WEIGHTS = {64: False, 32: True, 16: True}

# Rows of weights of a multiple of this many bytes are padded by PAD: they would share a few cache sets.
# Forward at 784-1024-1024-10, batch 256, on Zen 5: 4.2 to 5.3 ms unpadded, 3.8 padded.
ALIAS_BYTES = 2048

# Rows that go through the whole network together: their activations stay in L2 between layers, and the
# weights are read once per that many rows. A multiple of TILE_ROWS and of PAD.
ROW_BLOCK = 240

# Threads share the rows of a batch in multiples of this number.
GRAIN_ROWS = 4

# A call that predicts or scores fewer rows reads the weights as they are; a larger one first copies them into
# panels.
PACKED_CALL_ROWS = 256

# Prefetch distance, in rows and in bytes, ahead of the row that is copied into the batch.
# Smaller data is not prefetched: prefetching costs 10 ns a row.
ROWS_AHEAD = 32
BYTES_AHEAD = 16384
FETCHED_BYTES = 1 << 21

# While a sparse row is multiplied, the weights of this many entries ahead are fetched; while single rows of
# weights are updated, those of this many entries ahead: they may be anywhere. 128 rows of 76 entries,
# 30,000 x 112 weights: 420 us without, 130 with; an update by Adam of their 5,800 rows 1010 us, and 610.
ENTRIES_AHEAD = 8
WEIGHTS_AHEAD = 4

# Rows that the passes of a softmax take turns over: they stay in L1, and are enough to work on side by side.
ROW_GROUP = 16

# Weights whose gradient one thread computes, and updates and copies into panels at once: gradient, weights
# and both moments of a float32 block take 3/8 of L2, and stay there. BLOCK_ROWS is a multiple of PAD; kernels
# are given it as data, since compiled code may come from a machine with other caches.
BLOCK_COLS = 256
BLOCK_ROWS = max(PAD, 3 * L2_BYTES // 8 // (4 * 4 * BLOCK_COLS) // PAD * PAD)

# Threads share a layer's columns in multiples of this number, and the penalty is summed in the same units.
GRAIN_COLS = 64

# A step of fewer floating-point operations starts on one thread: two gain little even where their cores are
# close, and lose where they are not (64-64-10, batch 32: 0.9 MFLOP; 64-128-64-10, batch 64: 6.6).
PARALLEL_STEP_FLOPS = 2_000_000

# A smaller call of predict or evaluate runs on one thread: each opens a parallel region of its own (up to
# 100 us where only numba's workqueue layer is there).
PARALLEL_CALL_FLOPS = 50_000_000

# Polls of a shared word, with a pause of 15 to 50 ns each, before a waiting thread offers its core to
# another: 20 to 50 us, longer than the parts of a balanced step are apart.
SPINS_BEFORE_YIELD = 1_000

# How often a part offers its core while the others have not come, before the region is given up: 100 ms on
# idle cores, longer on busy ones.
ASSEMBLE_YIELDS = 4_000

# Seconds of training between two looks at the clock, the progress display and Ctrl-C; the first comes sooner,
# since it is not yet known how long a step takes.
CHUNK_SECONDS = 0.1
FIRST_CHUNK_SECONDS = 0.005
GUESSED_FLOPS = 2e10  # a second

# Length of a trial with another number of threads; seconds of training before the first (its compiled form
# may have to be loaded, 0.2 s); interval to the next, in units of the last trials' length: 2 % of the time.
# The number is adopted if a step takes less than this share of the time.
TRIAL_SECONDS = 0.01
FIRST_TRIAL_SECONDS = 1.0
TRIAL_SPACING = 50
TRIAL_GAIN = 0.95
