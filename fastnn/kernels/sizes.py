"""Tile shapes, block sizes and cut-offs: numbers only, each with what chose it.

Measured on 2 cores of a Zen 4 server CPU (AVX-512, 32 KiB L1, 1 MiB L2), float32, unless said otherwise.
"""

from __future__ import annotations

# Register tile: TILE_ROWS x TILE_VECS vectors of accumulators. By vector width in bytes: 512-bit CPUs and
# ARM have 32 vector registers, the others 16. On AVX-512, GFLOP/s at 384 x 768 x 768, where a loop that
# touches only registers reaches 117: 6 x 4 gives 110, 8 x 3 109, 12 x 2 74 (it spills).
TILE_ROWS = 6
TILE_VECS = {64: 4, 32: 2, 16: 2}

# Row lengths are multiples of this many elements: a whole cache line of float32, so that no vector
# operation meets a ragged column at any vector width.
PAD = 16

# A row length that is a multiple of this many bytes is padded by one cache line more: its rows would
# share a few cache sets. At 120 x 1024 x 1024: 100-108 GFLOP/s unpadded, 108-111 at 1040.
ALIAS_BYTES = 2048

# Elements of the summed axis that one pass over a panel takes: 512 x 64 float32 of the right operand are
# 128 KiB, an eighth of L2, and stay there while all row tiles pass. From 256 to 768 the same within 3 %.
K_BLOCK = 512

# While a tile is summed, the next panel is fetched: one row of it every few steps of the sum. Panels
# start on other pages, where no hardware prefetcher follows. GFLOP/s without and with: forward at
# 252 x 2048 x 2048 101 and 109; backward_weights at 4096 x 1024 x 4096 91 and 104; where all fits L2 the
# same within 1 %.
PREFETCH_STEP = 8

# backward_weights fetches its transposed left operand, too, if that is larger than L1. At 784-1024x3-10 on
# two threads a step takes 20.9 ms, without 21.5 to 23; below, it costs up to a fifth of the pass.
FETCHED_LEFT_BYTES = 32768

# Rows that go through the whole network together: their activations stay in L2 between layers, and the
# weights are read once per that many rows. A multiple of TILE_ROWS.
ROW_BLOCK = 240

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

# Weights whose gradient one thread computes, and updates and transposes at once: gradient, weights and both
# moments of a float32 block are 384 KiB, and stay in L2. BLOCK_ROWS is a multiple of TILE_ROWS and, for
# whole vectors in the transposition, of 16.
BLOCK_ROWS = 96
BLOCK_COLS = 256

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
