"""Which pictures are trained on and which are held back: by class, and never a source on both sides."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from kit._arrays import Array, Int64
from kit._interrupts import held


def folds(
    labels: npt.ArrayLike, count: int = 5, *, groups: npt.ArrayLike | None = None, seed: int = 0
) -> Iterator[tuple[Int64, Int64]]:
    """Yield training and validation places for cross-validation, with the classes in each as in all.

    Parameters
    ----------
    labels
        Shape (N,), the class of each picture.
    count
        Number of folds, at least 2.
    groups
        Shape (N,), numbers or names: pictures of one group stay together. See `joined`.
    seed
        Of the shuffle; not negative.

    Yields
    ------
    training, validation
        int64, without overlap, together all places. scikit-learn's StratifiedKFold, or with groups its
        StratifiedGroupKFold.

    Raises
    ------
    ValueError
        Labels or groups that do not fit, or a class with fewer pictures than folds.
    """
    with held():
        from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # noqa: PLC0415 (slow)

    truth = _one_each(labels, "label", None)
    sources = None if groups is None else _one_each(groups, "group", len(truth))
    rarest = np.unique(truth, return_counts=True)[1].min()
    if not 2 <= count <= rarest:
        raise ValueError(
            f"Expected 2 to {rarest} folds, the pictures in the rarest class, received {count}; "
            "take fewer folds or more pictures"
        )
    if sources is not None and (numbers := len(np.unique(sources))) < count:
        raise ValueError(f"Expected at least {count} groups for {count} folds, received {numbers}")
    splitter = StratifiedKFold if sources is None else StratifiedGroupKFold
    yield from splitter(count, shuffle=True, random_state=seed).split(truth, truth, sources)


def subset(labels: npt.ArrayLike, size: int, *, seed: int = 0) -> Int64:
    """Return places of some pictures, int64, shape (size,), with the classes as in all.

    Raises
    ------
    ValueError
        More pictures than there are, or fewer than classes.
    """
    with held():
        from sklearn.model_selection import train_test_split  # noqa: PLC0415 (slow to import)

    truth = _one_each(labels, "label", None)
    places = np.arange(len(truth))
    classes = len(np.unique(truth))
    if not classes <= size <= len(truth):
        raise ValueError(
            f"Expected {classes} to {len(truth)} pictures, received {size}; at least one a class"
        )
    if len(truth) - size < classes:  # too few are left over to be stratified
        return np.sort(np.random.default_rng(seed).permutation(places)[:size])
    chosen = train_test_split(places, train_size=size, stratify=truth, random_state=seed)[0]
    return np.sort(np.asarray(chosen, np.int64))


def joined(*groupings: npt.ArrayLike) -> Int64:
    """Join groupings of the same pictures: those that share a group in any of them share one.

    Parameters
    ----------
    groupings
        Shape (N,) each, numbers or names: by photographer, by video, `Duplicates.groups`.

    Returns
    -------
    int64, shape (N,), numbered from 0 in the order of their first pictures.
    """
    if not groupings:
        raise TypeError("Expected at least one grouping, received none")
    count = len(_one_each(groupings[0], "group", None))
    links = []
    for grouping in groupings:
        values = _one_each(grouping, "group", count)
        _, first, same = np.unique(values, return_index=True, return_inverse=True)
        links.append(np.column_stack([np.arange(count), first[same]]))
    return connected(count, np.concatenate(links))


def connected(count: int, links: Int64) -> Int64:
    """Return the group of each of `count` pictures, int64, that chains of links, shape (M, 2), make.

    Numbered from 0 in the order of their first pictures.
    """
    with held():
        from scipy.sparse import coo_array  # noqa: PLC0415 (slow to import)
        from scipy.sparse.csgraph import connected_components  # noqa: PLC0415 (slow to import)

    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    _, first, same = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[same].astype(np.int64)


def _one_each(values: npt.ArrayLike, what: str, count: int | None) -> Array:
    array = np.asarray(values)
    if array.ndim != 1 or not len(array) or count not in (None, len(array)):
        wanted = "picture" if count is None else f"of {count} pictures"
        raise ValueError(f"Expected a {what} for each {wanted}, received shape {array.shape}")
    return array
