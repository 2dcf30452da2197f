"""Class names and indices, and labels that a person gives."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kit._arrays import Float64, Floats, Int64
from kit._checking import meant, printable, whole

Labels = Sequence[int | str | None] | npt.NDArray[np.number]


ClassNames = Iterable[str] | Mapping[str, int] | Mapping[int, str]


def checked_class_names(
    class_names: ClassNames | None, count: int, network: str
) -> tuple[str, ...]:
    """Return the names of a network's classes; "class 0", "class 1", … where none are given.

    They are in the order of the outputs, or a mapping between names and the indices of outputs, either way
    round, such as ``class_indices`` of Keras's generators; errors name the `network`. TypeError or ValueError
    for one text, a set, a mapping that does not say which index has which name, or another number of names.
    """
    if class_names is None:
        return tuple(f"class {index}" for index in range(count))
    if isinstance(class_names, str | Path | set | frozenset):
        raise TypeError(
            f"Expected a list of class names, received one {type(class_names).__name__};"
            " of a file: Path(…).read_text().splitlines()"
        )
    if isinstance(class_names, Mapping):
        class_names = _by_index(class_names)
    names = tuple(map(printable, map(str, class_names)))
    if len(names) != count:
        raise ValueError(
            f"Expected {count} class names for {network!r}, received {len(names)}; correct the list,"
            " or labels.txt beside the file"
        )
    return names


def _by_index(given: Mapping[Any, Any]) -> tuple[str, ...]:
    """Return the names of a mapping, from or to indices, in the order of the indices."""
    pairs = [
        (key, value) if isinstance(value, str) else (value, key)
        for key, value in given.items()
    ]
    # JSON has texts for keys, so an index may be one.
    by_index = {str(index): name for index, name in pairs}
    try:
        return tuple(by_index[str(index)] for index in range(len(given)))
    except KeyError:
        raise ValueError(
            f"Expected one index for each class name, received {given!r:.80}; give a list"
        ) from None


FOLDERS = "folders"
"""In place of labels, where a folder for each class has the images."""


def label_indices(
    labels: Labels | int | str | None,
    class_names: Sequence[str],
    images: Collection[Any],
) -> Int64:
    """Return the index of the class that each label names, int64 (images,); -1 where it is not known.

    Parameters
    ----------
    labels
        Index or name of a class for each image, None where it is not known; None if none is. A text of digits
        that is no name is an index. Rows may be one-hot. One image may have its label alone, without a list.
        A name that several classes share stands for the first. "folders" stands for the names of the folders
        that have them.
    class_names, images
        All classes in order, and the images: photos or pictures, where folders tell their classes.

    Raises
    ------
    TypeError, ValueError
        Another number of labels, one that is no class, or folders that name no classes.
    """
    count = len(images)
    if labels is None:
        return np.full(count, -1)
    if isinstance(labels, (str, int, float, np.integer)):
        labels = (
            _labels_of_folders(images, class_names) if labels == FOLDERS else (labels,)
        )
    given: Any = labels
    if np.shape(given) == (count, len(class_names)):
        marks = np.asarray(given) == 1
        if np.array_equal(marks, given) and (marks.sum(axis=1) == 1).all():
            given = marks.argmax(axis=1)
    shape_given = np.shape(given)
    if shape_given != (count,):
        shape = f"the shape {shape_given}; is it a tensor=, or a function preprocess=?"
        received = shape_given[0] if len(shape_given) == 1 else shape
        raise ValueError(
            f"Expected as many labels as images ({count}), received {received}"
        )
    indices = (class_index(label, class_names) for label in np.asarray(given, object))
    return np.array([-1 if index is None else index for index in indices], np.int64)


def _labels_of_folders(
    images: Collection[Any], class_names: Sequence[str]
) -> list[str]:
    folder_of_image = []
    for image in images:
        name = getattr(image, "name", "")  # rows of probabilities have none
        folder, slash, _ = name.partition("/")
        if not slash:
            raise ValueError(
                f"Expected a folder for each class, received {name!r} outside;"
                " give the folder that has them all, or labels"
            )
        folder_of_image.append(folder)
    folder_names = sorted(set(folder_of_image))
    if _are_unnamed(class_names) and not set(folder_names) <= set(class_names):
        if len(folder_names) != len(class_names):
            raise ValueError(
                f"Expected {len(class_names)} folders, one for each class, received {len(folder_names)};"
                f" {_NAME_THEM}"
            )
        # By name, since a fix may have put the classes into another order.
        return [f"class {folder_names.index(folder)}" for folder in folder_of_image]
    return folder_of_image


_NAME_THEM = "name the classes of the model (class_names=, --classes)"


def _are_unnamed(class_names: Sequence[str]) -> bool:
    return set(class_names) == set(checked_class_names(None, len(class_names), ""))


def known_classes(
    labels: Labels, class_names: Sequence[str], images: Collection[Any]
) -> Int64:
    """Return what `label_indices` does, where each image has to have a label."""
    return all_known(label_indices(labels, class_names, images))


def all_known(labels: Int64) -> Int64:
    """Return labels as `label_indices` has them, or raise a ValueError where one is not known."""
    if (labels < 0).any():
        raise ValueError(
            f"Expected a label for every image, received None for number {labels.argmin()}"
            "; predict(…).labelled leaves those out"
        )
    return labels


def class_index(label: Any, class_names: Sequence[str]) -> int | None:
    """Return the index of the class that a label names; None for one that is not known."""
    if label is None or label != label:  # noqa: PLR0124 (what pandas has for None is not equal to itself)
        return None
    if isinstance(label, str):
        # Among names of digits, as of MNIST, another text of digits is no index.
        are_digits = sum(map(str.isdecimal, class_names)) > 1
        if label in class_names or are_digits or not label.isdecimal():
            if label not in class_names and _are_unnamed(class_names):
                raise ValueError(
                    f"Expected the index of a class, received {label!r}; {_NAME_THEM}"
                )
            return class_names.index(meant("label", printable(label), class_names))
        label = int(label)
    return whole("a label", label, 0, len(class_names) - 1)


LEAST = 1e-7
"""Probabilities of the right class below count as this: one answer must not outweigh all others."""


def surprises(probabilities: Floats, labels: Int64) -> Float64:
    """Return how unexpected each right class is, and the entropy where none is known, in nats; float64 (N,).

    ``labels`` are those of `label_indices`.
    """
    # Where no label is known, -1 takes the last class, which does not count.
    likelihoods = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return np.where(
        labels < 0, entropies(probabilities), -np.log(np.maximum(likelihoods, LEAST))
    )


def entropies(probabilities: Floats) -> Floats:
    """Return the entropy of each row of probabilities, in nats; float (N,)."""
    logarithms = np.log(np.maximum(probabilities, 1e-12))
    return np.asarray(-(probabilities * logarithms).sum(axis=1))
