"""What is unusual about a classifier, in words: the notes that it shows from the start."""

from collections import Counter
from collections.abc import Sequence

from kit.classifier.runtime.compiled import Compiled
from kit.preprocessing import Preprocessing

_SHOWN = 3


def remarks(
    compiled: Compiled, preprocessing: Preprocessing | None, class_names: Sequence[str], *, runs: bool
) -> tuple[str, ...]:
    """Return remarks on a classifier; none on an ordinary one.

    Parameters
    ----------
    compiled
        What is known of its network.
    preprocessing
        The one in use, if one is known.
    class_names
        In the order of the outputs.
    runs
        Whether the compiled form runs on this machine.
    """
    found = []
    if compiled.data is None:
        found.append(f"falls back to Keras because {compiled.reason}")
    elif not runs:
        found.append("falls back to Keras because ai-edge-litert is not installed")
    if preprocessing is None:
        found.append("preprocessing unknown: nothing says how the training pictures were prepared")
    repeated = [name for name, count in Counter(class_names).items() if count > 1]
    if repeated:
        more = f" and {len(repeated) - _SHOWN} more" if len(repeated) > _SHOWN else ""
        found.append(f"class names that occur more than once: {', '.join(repeated[:_SHOWN])}{more}")
    if compiled.head == "sigmoid" and compiled.output_count > 1:
        found.append("one sigmoid for each class: the outputs are divided by their sum")
    if compiled.head == "softmax" and compiled.output_count == 1:
        found.append("a softmax over one output is always 1; train with one sigmoid or two outputs")
    return tuple(found)
