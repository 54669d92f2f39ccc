"""The multilayer perceptron: architecture, parameters, prediction, and its file."""

from .mlp import MLP, load
from .predictor import Predictor

__all__ = ["MLP", "Predictor", "load"]
