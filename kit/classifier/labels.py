"""Names of classes, and labels as people write them, by name or by index."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kit._arrays import Int64
from kit._checking import nearest, told

LISTED = 10
"""So many classes are told by name."""
Labels = Sequence[int | str | None] | npt.NDArray[np.integer]


ClassNames = Iterable[str] | Mapping[str, int] | Mapping[int, str]


def checked_class_names(class_names: ClassNames | None, count: int, network: str) -> tuple[str, ...]:
    """Return the names of a network's classes; "class 0", "class 1", … where none are given.

    Parameters
    ----------
    class_names
        In the order of the outputs, or a mapping between names and the indices of outputs, either way round,
        such as ``class_indices`` of Keras's generators.
    count
        Classes that there are.
    network
        Named in errors.

    Raises
    ------
    TypeError, ValueError
        One text, a set, a mapping that does not say which index has which name, or another number of names.
    """
    if class_names is None:
        return tuple(f"class {index}" for index in range(count))
    if isinstance(class_names, str):
        raise TypeError(
            f"Expected class names as a sequence of texts, received one text {class_names[:40]!r}"
        )
    if isinstance(class_names, (set, frozenset)):
        raise TypeError(
            "Expected class names in the order of the outputs, received a set, which has no order"
        )
    if isinstance(class_names, Mapping):
        class_names = _by_index(class_names)
    names = tuple(told(str(each)) for each in class_names)
    if len(names) != count:
        raise ValueError(
            f"Expected {count} class names, one for each class of {network!r}, received {len(names)};"
            " give them in the order of the outputs"
        )
    return names


def _by_index(given: Mapping[Any, Any]) -> tuple[str, ...]:
    """Return the names of a mapping, from or to indices, in the order of the indices."""
    places = [str(index) for index in range(len(given))]
    readings = set()
    for pairs in (given.items(), [(index, name) for name, index in given.items()]):
        # JSON has texts for keys, so an index may be one; a name is a text always.
        names = {str(index): name for index, name in pairs if isinstance(name, str)}
        if names.keys() == set(places):
            readings.add(tuple(names[place] for place in places))
    if len(readings) != 1:
        raise ValueError(
            "Expected class names in the order of the outputs, or a mapping between each name and one index"
            f" from 0 to {len(given) - 1}, received one that begins with {dict(list(given.items())[:3])};"
            " give the names as a list"
        )
    return readings.pop()


def class_indices(
    labels: Labels | int | str | None, class_names: Sequence[str], count: int
) -> tuple[int | None, ...]:
    """Return the index of the class that each label names.

    Parameters
    ----------
    labels
        Index or name of a class for each picture, None where it is not known; None if none is. One picture
        may have its label alone, without a list. A name that several classes share stands for the first.
    class_names
        All classes in order.
    count
        Number of pictures.

    Returns
    -------
    tuple of int or None
        As many as there are pictures.

    Raises
    ------
    TypeError, ValueError
        Another number of labels, or one that is no class.
    """
    if labels is None:
        return (None,) * count
    if isinstance(labels, (str, int, np.integer)):
        labels = (labels,)
    if len(labels) != count:
        raise ValueError(f"Expected {count} labels, one for each picture, received {len(labels)}")
    places = {name: index for index, name in reversed(list(enumerate(class_names)))}
    return tuple(_index(label, places, len(class_names)) for label in labels)


def known_classes(labels: Labels, class_names: Sequence[str], count: int) -> Int64:
    """Return what `class_indices` does as int64 (count,), where each picture has to have a label."""
    found = class_indices(labels, class_names, count)
    if None in found:
        raise ValueError(
            f"Expected a label for every picture, received None for number {found.index(None)}; leave out"
            " pictures whose class is not known"
        )
    return np.array(found, np.int64)


def _index(label: Any, places: Mapping[str, int], classes: int) -> int | None:
    if label is None:
        return None
    if isinstance(label, str):
        label = told(label)
        if label not in places:
            listed = ", ".join(sorted(places, key=places.__getitem__)) if classes <= LISTED else ""
            hint = nearest(label, places) or f"; they are {listed}" * bool(listed)
            raise ValueError(f"Expected a label out of {classes} class names, received {label!r}{hint}")
        return places[label]
    if isinstance(label, bool) or not isinstance(label, (int, np.integer)):
        raise TypeError(f"Expected a label as a class index, a class name or None, received {label!r}")
    if not 0 <= label < classes:
        raise ValueError(f"Expected a label from 0 to {classes - 1}, received {label}")
    return int(label)
