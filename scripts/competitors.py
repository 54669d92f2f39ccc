"""The libraries of compare.py: how each trains the same network, in its fastest configurations.

fastnn
    ``Trainer.fit``, no progress display.
scikit-learn
    ``MLPClassifier.partial_fit`` over the epoch, no penalty. For two classes it has one output.
PyTorch
    Eager mode, fused optimiser, gradients set to None; on one thread and on all.
JAX
    The whole epoch is one jitted ``lax.scan``; rows are gathered by a permutation at every step or before the
    first; each with XLA's settings as they are and with FASTER_XLA.
NumPy
    No training, but the bare products of a step, by OpenBLAS, on one thread and on all.
"""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from benchmarks.common import OPTIMIZERS, Network, make_rows, make_trainer
from benchmarks.passes import numpy_products

Train = Callable[[int], Any]  # trains for a number of epochs

# The older runtime is faster on tiny networks (JAX up to 0.6; later ones ignore the flag), and XLA prefers
# vectors of 256 bits. A JAX that does not know a flag ends its process, and that run is left out.
FASTER_XLA = "--xla_cpu_use_thunk_runtime=false"
WIDE_XLA = "--xla_cpu_prefer_vector_width=512"


class Job(NamedTuple):
    """A network and how it is trained."""

    network: Network
    optimizer: str
    dtype: str
    n_threads: int
    gather_once: bool = False  # JAX: gather the rows of the whole epoch before its first step


def train_fastnn(job: Job, x: np.ndarray, y: np.ndarray) -> Train:
    """Prepare fastnn."""
    trainer = make_trainer(job.network, OPTIMIZERS[job.optimizer], job.dtype, job.n_threads)
    return lambda epochs: trainer.fit(x, y, epochs=epochs, verbose=0)


def multiply_numpy(job: Job, x: np.ndarray, y: np.ndarray) -> Train:
    """Prepare NumPy's products; the first layer needs no gradient of its inputs."""
    from threadpoolctl import threadpool_limits

    products: list[Callable[[], Any]] = []
    for n_in, n_out in itertools.pairwise(job.network.sizes):
        of_layer = numpy_products((job.network.batch, n_in, n_out), job.dtype)
        if not products:
            del of_layer["backward_data"]
        products += of_layer.values()

    def multiply(epochs):
        with threadpool_limits(job.n_threads):
            for _ in range(epochs * job.network.epoch_steps):
                for product in products:
                    product()

    return multiply


def train_sklearn(job: Job, x: np.ndarray, y: np.ndarray) -> Train:
    """Prepare scikit-learn."""
    from sklearn.neural_network import MLPClassifier

    net = MLPClassifier(
        job.network.sizes[1:-1],
        solver=job.optimizer,
        alpha=0.0,
        batch_size=job.network.batch,
        learning_rate_init=OPTIMIZERS[job.optimizer].lr,
        momentum=0.0,
        nesterovs_momentum=False,
        random_state=0,
    )
    classes = np.arange(job.network.sizes[-1])

    def train(epochs):
        for _ in range(epochs):
            net.partial_fit(x, y, classes=classes)

    return train


def train_torch(job: Job, x: np.ndarray, y: np.ndarray) -> Train:
    """Prepare PyTorch."""
    import torch

    torch.set_num_threads(job.n_threads)
    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    for n_in, n_out in itertools.pairwise(job.network.sizes):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers[:-1]).to(getattr(torch, job.dtype))
    make = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[job.optimizer]
    optimizer = make(net.parameters(), lr=OPTIMIZERS[job.optimizer].lr, fused=True)
    rows, labels = torch.from_numpy(x), torch.from_numpy(y)

    def train(epochs):
        for _ in range(epochs):
            for chosen in torch.randperm(len(rows)).split(job.network.batch):
                optimizer.zero_grad(set_to_none=True)
                logits = net(rows.index_select(0, chosen))
                torch.nn.functional.cross_entropy(logits, labels.index_select(0, chosen)).backward()
                optimizer.step()

    return train


def train_jax(job: Job, x: np.ndarray, y: np.ndarray) -> Train:
    """Prepare JAX."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", job.dtype == "float64")
    lr, adam = OPTIMIZERS[job.optimizer].lr, job.optimizer == "adam"
    rng = np.random.default_rng(0)

    def cost(params, rows, labels):
        for w, b in params[:-1]:
            rows = jax.nn.relu(rows @ w + b)
        w, b = params[-1]
        log_p = jax.nn.log_softmax(rows @ w + b)
        return -jnp.take_along_axis(log_p, labels[:, None], axis=1).mean()

    def adam_step(w, g, m, v, n_steps):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        rate, root = lr / (1 - 0.9**n_steps), 1 / jnp.sqrt(1 - 0.999**n_steps)
        return w - rate * m / (jnp.sqrt(v) * root + 1e-8), m, v

    def step(state, batch):
        params, m, v, n_steps = state
        grads = jax.grad(cost)(params, *batch)
        if not adam:
            return (jax.tree.map(lambda w, g: w - lr * g, params, grads), m, v, n_steps), None
        moved = jax.tree.map(functools.partial(adam_step, n_steps=n_steps), params, grads, m, v)
        params, m, v = (jax.tree.map(lambda _, new, i=i: new[i], params, moved) for i in range(3))
        return (params, m, v, n_steps + 1), None

    @functools.partial(jax.jit, donate_argnums=0)
    def epoch(state, rows, labels, order):
        def gather(chosen):
            return rows[chosen], labels[chosen]

        if job.gather_once:
            return jax.lax.scan(step, state, gather(order))[0]
        return jax.lax.scan(lambda state, chosen: step(state, gather(chosen)), state, order)[0]

    params = [
        (jnp.asarray(rng.standard_normal((n, k)) * math.sqrt(2 / n), job.dtype), jnp.zeros(k, job.dtype))
        for n, k in itertools.pairwise(job.network.sizes)
    ]
    zeros = functools.partial(jax.tree.map, jnp.zeros_like, params) if adam else list
    state = (params, zeros(), zeros(), jnp.asarray(1, job.dtype))
    rows, labels = jnp.asarray(x), jnp.asarray(y, np.int32)

    def train(epochs):
        nonlocal state
        for _ in range(epochs):
            order = rng.permutation(len(x)).astype(np.int32).reshape(-1, job.network.batch)
            state = epoch(state, rows, labels, order)
        jax.block_until_ready(state)

    return train


class Library(NamedTuple):
    """A library: its module, its imports, and the function that prepares it."""

    module: str
    statement: str
    prepare: Callable[[Job, np.ndarray, np.ndarray], Train]


OURS, PRODUCTS = "fastnn", "NumPy products"
LIBRARIES = {
    OURS: Library("fastnn", "from fastnn import MLP, Trainer", train_fastnn),
    "scikit-learn": Library("sklearn", "from sklearn.neural_network import MLPClassifier", train_sklearn),
    "PyTorch": Library("torch", "import torch", train_torch),
    "JAX": Library("jax", "import jax.numpy", train_jax),
    PRODUCTS: Library("numpy", "import numpy", multiply_numpy),
}


def variants(name: str, job: Job, wide: bool) -> dict[str, tuple[Job, dict[str, str]]]:
    """Return the ways of running a library, by label: the job and further variables of the environment.

    Parameters
    ----------
    name : str
        A key of LIBRARIES.
    job : Job
    wide : bool
        Whether vectors have 512 bits.
    """
    if name in ("PyTorch", PRODUCTS) and job.n_threads > 1:
        return {f"{name}, {n} threads": (job._replace(n_threads=n), {}) for n in (1, job.n_threads)}
    if name == "JAX":
        flags = " ".join([FASTER_XLA, WIDE_XLA] if wide else [FASTER_XLA])
        return {
            f"JAX, rows gathered by the {'epoch' if once else 'step'}{', faster XLA' if more else ''}": (
                job._replace(gather_once=once),
                more,
            )
            for more in ({}, {"XLA_FLAGS": flags})
            for once in (False, True)
        }
    return {name: (job, {})}


def contestant(name: str, job: Job, seconds: float) -> Callable[[], tuple[float, float]]:
    """Return a function that trains for a round: the seconds of the first call, and a step's time in us.

    Parameters
    ----------
    name : str
        A key of LIBRARIES.
    job : Job
    seconds : float
        How long a round takes at least.
    """
    network = job.network
    train = LIBRARIES[name].prepare(job, *make_rows(network, network.epoch_steps * network.batch, job.dtype))

    def timed(epochs: int) -> float:
        start = time.perf_counter()
        train(epochs)
        return time.perf_counter() - start

    first, once = timed(1), timed(1)
    epochs = max(1, math.ceil(seconds / once))
    return lambda: (max(0.0, first - once), 1e6 * timed(epochs) / (epochs * network.epoch_steps))
