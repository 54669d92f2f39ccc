"""Kernels that a network or a training may ask for, each compiled when it is first used.

The core (:mod:`fastnn.kernels.step`) contains what every training needs. Everything optional is a hook: an
activation, a loss or an optimiser that the core does not know, and the user's own functions; normalisation,
dropout and residual connections; sparse rows; the limits and averages after an update. The core calls a hook
by its address, which is data to the core, so a new hook makes the core neither larger nor slower, and
compiles in about a second. SGD, Adam and three losses are in the core: called by address, the optimisers make
a step of a small network 5 to 7 % slower (64-64-10, batch 32), and the losses 1 to 2 %.

All hooks of one kind have one signature; :mod:`.link` has the types:

activation
    ``(a, slopes, alpha, r0, r1, n_out)``: ``a[r, o]`` (in, out) is z before and f(z) after,
    ``slopes[r, o]`` (out) is f'(z); rows r0 to r1, columns 0 to n_out. `alpha`, float64, is the
    activation's number, for those that have one. Elements are independent.
loss
    ``(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1)``: as
    :func:`fastnn.kernels.losses.loss_and_delta`, with the loss's own `numbers` (float64 vector, may be
    empty) in place of its code. Padding columns of delta may be left as they are.
update
    ``(w, g, m, v, u, constants, rates, terms, i0, i1, o0, o1)``: one step of ``w[i0:i1, o0:o1]`` with the
    gradient g; m, v, u are the optimiser's state, as many as it has. `constants` are its numbers,
    `rates` those that change from step to step, the learning rate first (float64 vectors), and `terms`
    (:class:`fastnn.kernels.updates.Terms`) says how gradient and weight are treated around the formula.
    Elements are independent.
"""
