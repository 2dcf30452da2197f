"""What is written in a ``.keras`` file about a classifier, and what is unusual about it, in words."""

from collections import Counter
from collections.abc import Sequence

from kit._checking import first_line
from kit.classifier.conversion import Compiled
from kit.classifier.store import Archive
from kit.preprocessing import Preprocessing

_SHOWN = 3


def preprocessing_in(opened: Archive) -> Preprocessing | None:
    """Return the preprocessing that a file states, None without one; ValueError where it makes no sense."""
    stated = (opened.contract or {}).get("preprocessing")
    if stated is None:
        return None
    try:
        return Preprocessing.from_dict(stated)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected a preprocessing in {opened.path.name!r}: {first_line(error)}") from error


def remarks(
    compiled: Compiled, preprocessing: Preprocessing | None, class_names: Sequence[str]
) -> tuple[str, ...]:
    """Return what is unusual about a classifier, in words."""
    found = []
    if compiled.data is None:
        found.append(f"falls back to Keras because {compiled.reason}")
    if preprocessing is None:
        found.append("preprocessing unknown: nothing says how the training pictures were prepared")
    repeated = [name for name, count in Counter(class_names).items() if count > 1]
    if repeated:
        shown = ", ".join(name[:40] for name in repeated[:_SHOWN])
        more = f" and {len(repeated) - _SHOWN} more" if len(repeated) > _SHOWN else ""
        found.append(f"class names that occur more than once: {shown}{more}")
    if compiled.head == "logits":
        found.append(
            "the last layer is linear: its outputs are taken for logits of classes, through a softmax"
        )
    if compiled.head == "sigmoid" and compiled.output_count > 1:
        found.append("one sigmoid for each class: the outputs are divided by their sum")
    if compiled.head == "softmax" and compiled.output_count == 1:
        found.append("a softmax over one output is always 1; train with one sigmoid or two outputs")
    return tuple(found)
