"""Making probabilities less sure, or surer, by what held-back pictures say.

Temperature and vector scaling are those of Guo et al. 2017 (arXiv 1706.04599).

Softmax probabilities tell the logits behind them up to a constant for each row, which a softmax does not
see: their logarithms. So nothing here needs the network.
"""

from dataclasses import dataclass

import numpy as np

from kit._arrays import Float32, Float64, Floats, Int64
from kit._interrupts import held

LOWEST, HIGHEST = 0.05, 20.0
"""Temperatures that are looked for; at the ends the pictures do not determine one."""


@dataclass(frozen=True)
class VectorScaling:
    """A factor and a bias for the logit of each class.

    Attributes
    ----------
    factors, biases
        One for each class. Factors of 1 and biases of 0 change nothing.
    """

    factors: tuple[float, ...]
    biases: tuple[float, ...]

    def apply(self, rows: Floats) -> Float32:
        """Return softmax probabilities with the logits scaled.

        Unlike a temperature this can change which class comes first.

        Parameters
        ----------
        rows
            Shape (N, classes), rows summing to 1. Not changed.

        Returns
        -------
        float32, shape (N, classes)
            A new array; rows sum to 1.
        """
        logarithms = logits(rows) * np.array(self.factors) + np.array(self.biases)
        return np.exp(_log_softmax(logarithms)).astype(np.float32)


def logits(rows: Floats) -> Float64:
    """Return logits of softmax probabilities: float64, same shape. 0 counts as the smallest float32."""
    return np.log(np.maximum(np.asarray(rows, np.float64), np.finfo(np.float32).tiny))


def fit_temperature(rows: Floats, labels: Int64) -> float:
    """Return the temperature with the least negative log-likelihood, within `LOWEST` to `HIGHEST`.

    Parameters
    ----------
    rows
        Shape (N, classes), rows summing to 1. Not changed.
    labels
        Shape (N,): index of the right class.
    """
    with held():
        from scipy.optimize import minimize_scalar  # noqa: PLC0415 (slow to import)

    scores, picture = logits(rows), np.arange(len(rows))

    # Convex in 1 / T, hence with a single minimum in log T too, where the two directions are alike.
    def loss(log_temperature: float) -> float:
        return float(-_log_softmax(scores / np.exp(log_temperature))[picture, labels].mean())

    bounds = (float(np.log(LOWEST)), float(np.log(HIGHEST)))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    return float(np.exp(found.x))


def fit_vector(rows: Floats, labels: Int64) -> VectorScaling:
    """Return the factors and biases with the least negative log-likelihood.

    Parameters
    ----------
    rows
        Shape (N, classes), rows summing to 1. Not changed.
    labels
        Shape (N,): index of the right class.
    """
    with held():
        from scipy.optimize import minimize  # noqa: PLC0415 (slow to import)

    scores = logits(rows)
    count, classes = scores.shape
    truth = np.eye(classes)[labels]

    def loss(parameters: Float64) -> tuple[float, Float64]:
        factors, biases = parameters[:classes], parameters[classes:]
        logarithms = _log_softmax(scores * factors + biases)
        excess = (np.exp(logarithms) - truth) / count
        slope = np.concatenate([(excess * scores).sum(axis=0), excess.sum(axis=0)])
        return float(-(logarithms * truth).sum() / count), slope

    start = np.concatenate([np.full(classes, 1 / fit_temperature(rows, labels)), np.zeros(classes)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return VectorScaling(tuple(found.x[:classes].tolist()), tuple(found.x[classes:].tolist()))


def _log_softmax(scores: Float64) -> Float64:
    with held():
        from scipy.special import log_softmax  # noqa: PLC0415 (slow to import)

    return np.asarray(log_softmax(scores, axis=1))
