"""Names of classes, and labels as people write them, by name or by index."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kit._checking import nearest, told

Labels = Sequence[int | str | None] | npt.NDArray[np.integer]


def checked_class_names(class_names: Iterable[str] | None, count: int, network: str) -> tuple[str, ...]:
    """Return the names of a network's classes; "class 0", "class 1", … where none are given.

    Parameters
    ----------
    class_names
        In the order of the outputs.
    count
        Classes that there are.
    network
        Named in errors.

    Raises
    ------
    TypeError, ValueError
        One text, or another number of names.
    """
    if class_names is None:
        return tuple(f"class {index}" for index in range(count))
    if isinstance(class_names, str):
        raise TypeError(
            f"Expected class names as a sequence of texts, received one text {class_names[:40]!r}"
        )
    names = tuple(told(str(each)) for each in class_names)
    if len(names) != count:
        raise ValueError(
            f"Expected {count} class names, one for each class of {network!r}, received {len(names)};"
            " give them in the order of the outputs"
        )
    return names


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


def _index(label: Any, places: Mapping[str, int], classes: int) -> int | None:
    if label is None:
        return None
    if isinstance(label, str):
        label = told(label)
        if label not in places:
            raise ValueError(
                f"Expected a label out of {classes} class names, received {label!r}{nearest(label, places)}"
            )
        return places[label]
    if isinstance(label, bool) or not isinstance(label, (int, np.integer)):
        raise TypeError(f"Expected a label as a class index, a class name or None, received {label!r}")
    if not 0 <= label < classes:
        raise ValueError(f"Expected a label from 0 to {classes - 1}, received {label}")
    return int(label)
