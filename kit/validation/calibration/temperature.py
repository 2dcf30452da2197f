"""Making probabilities less sure, or surer, by what held-back pictures say.

Temperature and vector scaling are those of Guo et al. 2017 (arXiv 1706.04599).

Softmax probabilities tell the logits behind them up to a constant for each row, which a softmax does not
see: their logarithms. So nothing here needs the network. Vector scaling does see that constant, since its
factors differ, so there the logits of a row are taken to sum to 0: left as logarithms, those of sure answers
are all but 0, and nothing bounds the factors on them.
"""

from dataclasses import dataclass

import numpy as np

from kit._arrays import Float32, Float64, Floats, Int64
from kit._interrupts import held

LOWEST, HIGHEST = 0.05, 20.0
"""Temperatures that are looked for; at the ends the pictures do not determine one."""

_WEIGHTS = (0.3, 0.1, 0.03, 0.01)
_FOLDS = 5
_SEED = 0


@dataclass(frozen=True)
class VectorScaling:
    """A factor and a bias for the logit of each class, logits being such that those of a row sum to 0.

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
        logarithms = _centred(rows) * np.array(self.factors) + np.array(self.biases)
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


def fit_vector(rows: Floats, labels: Int64) -> VectorScaling | None:
    """Return factors and biases with the least penalized negative log-likelihood.

    The penalty is a weight times the mean square, over the classes, of each bias and of each factor's
    relative distance from that of one temperature: as Kull et al. 2019 (Beyond temperature scaling, arXiv
    1910.12656) do for matrix and Dirichlet scaling by off-diagonal and intercept regularization (ODIR).
    Without one, factors run away. Its weight is chosen by five-fold cross-validation over these pictures.

    Parameters
    ----------
    rows
        Shape (N, classes), rows summing to 1, N at least 5. Not changed.
    labels
        Shape (N,): index of the right class.

    Returns
    -------
    VectorScaling
        None where the cross-validation gains no more on one temperature than the standard error of the gain
        (rule of Breiman et al. 1984, Classification and regression trees).
    """
    temperature = fit_temperature(rows, labels)
    scores, count = _centred(rows) / temperature, len(rows)
    folds = np.random.default_rng(_SEED).permutation(count) % _FOLDS
    likelihoods = np.empty((len(_WEIGHTS) + 1, count))
    for fold in range(_FOLDS):
        left_out = folds == fold
        for each, (factors, biases) in enumerate(_penalized(scores[~left_out], labels[~left_out])):
            logarithms = _log_softmax(scores[left_out] * factors + biases)
            likelihoods[each, left_out] = logarithms[np.arange(len(logarithms)), labels[left_out]]
    gains = likelihoods - likelihoods[0]
    best = int(gains.mean(axis=1).argmax())
    if gains[best].mean() <= gains[best].std() / np.sqrt(count):
        return None
    factors, biases = _penalized(scores, labels)[best]
    return VectorScaling(tuple((factors / temperature).tolist()), tuple(biases.tolist()))


def _penalized(scores: Float64, labels: Int64) -> list[Float64]:
    """Return float64 (2, classes) that change nothing, then the best factors and biases for each weight."""
    with held():
        from scipy.optimize import minimize  # noqa: PLC0415 (slow to import)

    count, classes = scores.shape
    truth = np.eye(classes)[labels]

    def loss(flat: Float64, weight: float) -> tuple[float, Float64]:
        factors, biases = flat.reshape(2, -1)
        logarithms = _log_softmax(scores * factors + biases)
        excess = (np.exp(logarithms) - truth) / count
        away = flat - unchanged
        slope = np.concatenate([(excess * scores).sum(axis=0), excess.sum(axis=0)])
        penalty = weight * float(away @ away) / classes
        return float(-(logarithms * truth).sum() / count) + penalty, slope + 2 * weight * away / classes

    unchanged = np.repeat([1.0, 0.0], classes)
    found = [unchanged]
    for weight in _WEIGHTS:
        # From the strongest penalty on, each begins where the last one ended.
        found.append(minimize(loss, found[-1], (weight,), jac=True, method="L-BFGS-B").x)
    return [flat.reshape(2, -1) for flat in found]


def _centred(rows: Floats) -> Float64:
    scores = logits(rows)
    return np.asarray(scores - scores.mean(axis=1, keepdims=True))


def _log_softmax(scores: Float64) -> Float64:
    with held():
        from scipy.special import log_softmax  # noqa: PLC0415 (slow to import)

    return np.asarray(log_softmax(scores, axis=1))
