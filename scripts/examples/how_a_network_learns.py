"""How a network learns, step by step and with all numbers: first one neuron, then a whole network.

All steps are alike: forward, compare, error, backward, update, repeat. A few lines of NumPy compute here what
fastnn computes in compiled loops; at the end both are compared.

    python scripts/examples/how_a_network_learns.py
"""

from __future__ import annotations

import numpy as np
import typer

import fastnn


def sigmoid(z):
    """Activation: map any number to one between 0 and 1."""
    return 1 / (1 + np.exp(-z))


def one_neuron(n_steps: int) -> None:
    """Teach a neuron with two inputs "or", and show every step."""
    print("One neuron: two inputs, two weights, a bias. It should say 1 if at least one input is 1.\n")
    x = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    y = np.array([0.0, 1, 1, 1])
    w, bias, lr = np.array([0.2, -0.4]), 0.0, 2.0
    for step in range(1, n_steps + 1):
        shown = step in (1, 2) or step == n_steps
        # Forward: weigh the inputs, add the bias, squash.
        z = x @ w + bias
        a = sigmoid(z)
        # Compare: the loss measures how wrong each answer is (cross-entropy); the cost is its mean.
        cost = -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))
        # Error: how the loss changes with z. For sigmoid and cross-entropy it is simply answer - truth.
        delta = a - y
        # Backward: the gradient of a weight is the error times the input of that weight.
        grad_w, grad_bias = x.T @ delta / len(x), delta.mean()
        if shown:
            print(f"step {step}")
            print(f"  forward   z = x w + bias = {z.round(3)},  a = sigmoid(z) = {a.round(3)}")
            print(f"  compare   truth {y},  cost {cost:.4f}")
            print(f"  error     delta = a - y = {delta.round(3)}")
            print(f"  backward  gradient of w = {grad_w.round(3)}, of the bias = {grad_bias:.3f}")
        # Update: a small step downhill.
        w, bias = w - lr * grad_w, bias - lr * grad_bias
        if shown:
            print(f"  update    w = {w.round(3)}, bias = {bias:.3f}\n")
    print(f"It now answers {sigmoid(x @ w + bias).round(2)} to {y}.\n")


def whole_network(n_steps: int) -> None:
    """Teach a network of three hidden neurons "either or", which a single neuron cannot learn."""
    print("A network: 2 inputs, 3 hidden neurons (tanh), 1 output. It should say 1 if exactly one is 1.\n")
    x = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    y = np.array([0.0, 1, 1, 0])
    net = fastnn.MLP([2, 3, 1], activation="tanh", dtype="float64", seed=3)
    trainer = fastnn.Trainer(
        net, loss="binary_cross_entropy", optimizer=fastnn.SGD(lr=1.0), batch_size=None, shuffle=False, seed=0
    )
    w0, w1 = (w.copy() for w in net.weights)
    bias0, bias1 = (bias.copy() for bias in net.biases)
    lr = 1.0
    for step in range(1, n_steps + 1):
        shown = step in (1, n_steps)
        # Forward, layer by layer: the outputs of one are the inputs of the next.
        hidden = np.tanh(x @ w0 + bias0)
        a = sigmoid(hidden @ w1 + bias1)[:, 0]
        # Compare, and the error of the output.
        cost = -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))
        delta1 = (a - y)[:, np.newaxis] / len(x)
        # Backward: the error flows through the same weights to the hidden neurons; each takes as much of it
        # as its slope lets through (tanh has the slope 1 - tanh ** 2).
        delta0 = delta1 @ w1.T * (1 - hidden**2)
        grad_w1, grad_bias1 = hidden.T @ delta1, delta1.sum(axis=0)
        grad_w0, grad_bias0 = x.T @ delta0, delta0.sum(axis=0)
        if shown:
            print(f"step {step}")
            print(
                f"  forward   hidden outputs of the row (0, 1): {hidden[1].round(3)},  answers {a.round(3)}"
            )
            print(f"  compare   truth {y},  cost {cost:.4f}")
            print(f"  error     of the output {delta1[:, 0].round(3)}")
            print(f"  backward  error of the hidden neurons for (0, 1): {delta0[1].round(4)}")
            print(f"            gradient of the output's weights: {grad_w1[:, 0].round(4)}")
        if step == 1:
            _, (of_fastnn, _), _ = trainer.gradient(x, y)
            difference = abs(of_fastnn - grad_w0).max()
            print(f"            fastnn's gradient of the first layer differs by {difference:.1e}")
        # Update: every weight of every layer.
        w0, bias0 = w0 - lr * grad_w0, bias0 - lr * grad_bias0
        w1, bias1 = w1 - lr * grad_w1, bias1 - lr * grad_bias1
        if shown:
            print(f"  update    the output's weights are now {w1[:, 0].round(3)}\n")
    print("Repeat: fastnn makes the same steps, as many epochs of one batch each.")
    history = trainer.fit(x, y, epochs=n_steps, verbose=0)
    for epoch in (1, 10, 100, n_steps):
        if epoch <= n_steps:
            print(f"  epoch {epoch:5d}  cost {history.epochs[epoch - 1].cost:.4f}")
    difference = max(abs(net.weights[0] - w0).max(), abs(net.weights[1] - w1).max())
    print(
        f"Its answers: {net.predict_raw(x)[:, 0].round(3)}; its weights differ from ours by {difference:.1e}."
    )


def main(small: bool = False) -> None:
    """Print the lesson."""
    one_neuron(n_steps=20 if small else 100)
    whole_network(n_steps=200 if small else 1000)


if __name__ == "__main__":
    typer.run(main)
