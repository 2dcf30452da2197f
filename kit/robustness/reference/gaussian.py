"""How far rows of numbers lie from normal distributions that were learned from other rows."""

from dataclasses import dataclass
from types import EllipsisType
from typing import Self

import numpy as np

from kit._arrays import Bools, Float32, Float64, Int64
from kit._interrupts import held

# A covariance needs some times more rows than there are values in one, and the mean of a class some at all.
_PER_VALUE, _PER_CLASS = 10, 10
# Share of the mean variance that is added to every variance: values that hardly move are not divided by 0.
_SHRINKAGE = 1e-3
_TINY = np.finfo(np.float64).tiny
_CONSTANT = 1e-9


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Normal distributions with one covariance, D values wide.

    Attributes
    ----------
    whitening
        float64 (D, D): a lower triangle L whose L @ L.T is the inverse of the covariance; or (D,), its
        diagonal, where the values are weighed one by one.
    means
        float64 (distributions, D): less the centre, times the whitening.
    centre
        float64 (D,), subtracted before: what is small beside a large mean would be lost.
    columns
        Values of a row that take part, D of them; an ellipsis for all.
    """

    whitening: Float64
    means: Float64
    centre: Float64 | float = 0.0
    columns: Bools | EllipsisType = ...

    @classmethod
    def of_rows(cls, rows: Float64) -> Self:
        """Learn one distribution from rows, float64 (N, values), of which there may be fewer than values.

        Its correlations are shrunk as Ledoit and Wolf do (A well-conditioned estimator for large-dimensional
        covariance matrices, 2004). Values that never vary take no part.
        """
        with held():
            from sklearn.covariance import ledoit_wolf  # noqa: PLC0415 (heavy)

        spread = rows.std(axis=0)
        varied = spread > _CONSTANT * np.abs(rows).max(initial=0)
        mean, spread = rows.mean(axis=0)[varied], spread[varied]
        covariance, _ = ledoit_wolf((rows[:, varied] - mean) / spread)
        whitening = np.linalg.cholesky(np.linalg.inv(covariance)) / spread[:, None]
        return cls(whitening, np.zeros((1, len(mean))), mean, varied)

    @classmethod
    def of_classes(cls, rows: Float64, classes: Int64) -> Self:
        """Learn a distribution for every class, with the covariance around their means.

        Parameters
        ----------
        rows
            float64 (N, D).
        classes
            int64 (N,). A class of fewer than 10 rows gets none. With fewer than 10 * D rows there is one
            distribution for all, and no covariance.
        """
        count, size = rows.shape
        full = count >= _PER_VALUE * size
        kept = [each for each in np.unique(classes) if (classes == each).sum() >= _PER_CLASS] if full else []
        groups = [classes == each for each in kept] or [np.ones(count, bool)]
        means = np.stack([rows[group].mean(axis=0) for group in groups])
        around = np.concatenate([rows[group] - mean for group, mean in zip(groups, means, strict=True)])
        if not full:
            variance = (around**2).mean(axis=0)
            scale = 1 / np.sqrt(variance + _SHRINKAGE * variance.mean() + _TINY)
            return cls.unpacked(scale.astype(np.float32), (means * scale).astype(np.float32))
        covariance = around.T @ around / len(around)
        covariance += (_SHRINKAGE * np.trace(covariance) / size + _TINY) * np.eye(size)
        whitening = np.linalg.cholesky(np.linalg.inv(covariance))
        triangle = whitening[np.tril_indices(size)].astype(np.float32)
        return cls.unpacked(triangle, (means @ whitening).astype(np.float32))

    @classmethod
    def unpacked(cls, whitening: Float32, means: Float32) -> Self:
        """Return the value that `packed` took apart.

        Raises
        ------
        ValueError, IndexError
            Sizes that do not fit together.
        """
        size = means.shape[1]
        matrix = whitening.astype(np.float64)
        if whitening.size != size:
            matrix = np.zeros((size, size))
            matrix[np.tril_indices(size)] = whitening
        return cls(matrix, means.astype(np.float64))

    def marginal(self, columns: Bools) -> Self:
        """Return the distributions of some of the values, bool (D,), out of those with a covariance.

        For what `of_classes` learned. Its `distances` takes whole rows as before.
        """
        back = np.linalg.inv(self.whitening)
        covariance = (back.T @ back)[np.ix_(columns, columns)]
        whitening = np.asarray(np.linalg.cholesky(np.linalg.inv(covariance)), np.float64)
        return type(self)(whitening, (self.means @ back)[:, columns] @ whitening, columns=columns)

    def packed(self) -> dict[str, Float32]:
        """Return what `of_classes` learned as float32 arrays; a triangle row by row in one dimension."""
        flat = self.whitening
        if flat.ndim > 1:
            flat = flat[np.tril_indices(len(flat))]
        return {"whitening": flat.astype(np.float32), "means": self.means.astype(np.float32)}

    def distances(self, rows: Float64) -> Float64:
        """Return the squared Mahalanobis distance to the nearest mean: float64 (N, values) to (N,)."""
        away = rows[:, self.columns] - self.centre
        white = away * self.whitening if self.whitening.ndim == 1 else away @ self.whitening
        return np.asarray(np.min([((white - mean) ** 2).sum(axis=1) for mean in self.means], axis=0))
