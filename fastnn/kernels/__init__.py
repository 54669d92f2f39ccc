"""Compiled kernels: explicit loops over preallocated buffers.

The contract
------------
* A kernel assumes; the Python boundary checks. No kernel raises.
* Arguments: outputs first, then inputs, then scalars. It returns None or one scalar.
* Rows of a batch are ``r``, inputs of a layer ``i``, its outputs ``o``; weights are ``w[i, o]``.
* A kernel overwrites its output: nothing is zeroed beforehand, and calling it twice changes nothing.
* A kernel is given the range of rows or weights that it owns. Two threads never write the same element, and
  every element is summed in one order, so results have the same bits for any number of threads.
* The bias is the last row of the weights, ``w[n_in, o]``: the weight of an input that is always 1.
  Activations carry that unit in column ``n_in`` for the gradient; the forward sum begins with the bias.
* Matrices of a batch, and what products read, are stored in panels of ``PAD`` columns (:mod:`.simd`).
  Padding columns of activations may hold anything: they are computed, and never read as an input of a layer.
  Padding of deltas is 0, and so that of parameters, gradients and optimiser state stays 0 as from the start.
"""
