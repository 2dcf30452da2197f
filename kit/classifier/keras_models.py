"""Keras models: opened safely, checked, and compiled to LiteRT."""

import logging
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from kit._arrays import AnyPath, JSONObject
from kit._checking import KERAS, first_line, printable, require
from kit._reporting import hidden_errors
from kit.classifier import store
from kit.classifier.engines import check_ends

_FUNCTIONS = (
    "activations",
    "constraints",
    "initializers",
    "losses",
    "metrics",
    "ops",
    "regularizers",
)
"""Modules of Keras whose functions compute on tensors alone; others set options, or read files."""

CONVERT = (
    "convert it with the Keras that wrote it: "
    "open('model.tflite', 'wb').write(tensorflow.lite.TFLiteConverter.from_keras_model(model).convert())"
)
_OF_ANOTHER_KERAS = (
    "of another Keras make a new file: python -m kit import OLD.keras NEW.keras"
)
_BY_REASON = {
    # Keras 3 cannot run one, whichever module registers it.
    "KerasLayer": (
        "Keras 2 alone runs TensorFlow Hub: tf_keras.models.load_model('FILE', "
        "{'KerasLayer': tensorflow_hub.KerasLayer}).save('FOLDER'), then open FOLDER here"
    ),
    "keras.src|batch_input_shape|^Error when deserializing": "",
    "^Could not|^Unknown layer": (
        "import the module that registers custom layers first (--import), or"
        " that has keras.saving.get_custom_objects()['NAME'] = NAME"
    ),
    "Lambda": "replace Lambda layers",
    "": "copy a damaged file again",
}
"""What to do, by what Keras says; where it is empty, as with a file of another Keras."""


def serialized_objects(config: Any) -> Iterator[JSONObject]:
    """Yield what Keras makes an object or a function of in a configuration, but for training, as a loss."""
    pending = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            if value is config:
                value = {**value, "compile_config": None}
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def refuse_code(config: Any, name: str, kinds: Collection[str] = ()) -> None:
    """Raise a ValueError for layers of some kinds, and for functions that do more than compute on tensors.

    Keras itself would call each function that an architecture names, with the arguments that stand there.
    """
    for part in serialized_objects(config):
        kind, home, function = (
            printable(str(part.get(key)))[:60]
            for key in ("class_name", "module", "config")
        )
        package, _, module = home.partition(".")
        module = module.removeprefix("src.").partition(".")[0]
        # Keras takes a function where it is named like a class, too; those of applications look like classes.
        if kind != "function":
            function = kind
        is_class = kind[:1].isupper() and module != "applications"
        if package == "keras" and not is_class and module not in _FUNCTIONS:
            code = f"the function {function!r} of {home}"
        elif kind in kinds:
            code = f"a {kind} layer"
        else:
            continue
        raise ValueError(
            f"Expected a network without code in its file, received {name!r} with {code}; {CONVERT}"
        )


def import_keras() -> Any:
    """Import Keras, which takes seconds the first time, without what TensorFlow's libraries write."""
    require(*KERAS)
    # Read once, when TensorFlow's libraries are loaded; a user's own setting stays.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with hidden_errors():
        import keras
    return keras


def load_keras(path: AnyPath) -> Any:
    """Open a ``.keras`` file with Keras: always ``safe_mode=True, compile=False``, no code in it is run.

    FileNotFoundError or ValueError where it is no such file, damaged, or not to be opened safely.
    """
    opened = store.read_model(path)
    if opened.network is not None:
        raise ValueError(
            f"Expected a .keras file, whose layers Keras knows, received {opened.path.name!r}"
        )
    refuse_code(opened.config(), opened.path.name)
    return opened_safely(opened.path)


def opened_safely(file: Path, advice: str = _OF_ANOTHER_KERAS) -> Any:
    """Open a file in Keras's safe mode; or raise a ValueError, with `advice` for a file of another Keras."""
    keras = import_keras()
    # Private, but without it `keras.config.enable_unsafe_deserialization()` overrules `safe_mode=True`.
    from keras.src.saving.serialization_lib import SafeModeScope

    try:
        with SafeModeScope(safe_mode=True):
            return keras.models.load_model(file, safe_mode=True, compile=False)
    except Exception as error:  # Keras raises whatever a layer raises
        raise ValueError(
            "Expected a network that Keras opens in safe mode, received "
            f"{file.name!r}: {_refusal(error, advice)}"
        ) from error


def check_model(model: Any) -> None:
    """Raise a TypeError or ValueError unless a Keras model is a classifier of images."""
    if not hasattr(model, "export"):
        raise TypeError(
            f"Expected a Keras model, received {type(model).__name__}; see Classifier.load"
        )
    inputs, outputs = (
        [tuple(entry.shape) for entry in getattr(model, name, None) or ()]
        for name in ("inputs", "outputs")
    )
    if isinstance(getattr(model, "output", None), dict):
        outputs = [(name,) for name in model.output]
    advice = (
        "; make keras.Model(image, classes) of image = keras.Input((h, w, 3)) and model(image),"
        " of several outputs model(image)[…]"
    )
    check_ends(type(model).__name__, inputs, outputs, advice)


def _refusal(error: BaseException, of_another_keras: str) -> str:
    """Say why Keras did not open a file, and what to do about it."""
    # A class that is missing within a network hides behind the network that is not built without it.
    chain = [error]
    while chain[-1].__context__ is not None:
        chain.append(chain[-1].__context__)
    missing = [cause for cause in chain if str(cause).startswith("Could not locate")]
    # What follows the first sentence is advice for those who call Keras themselves, such as safe_mode=False.
    reason = first_line(missing[0] if missing else error).partition(". ")[0]
    advice = (_BY_REASON[words] for words in _BY_REASON if re.search(words, reason))
    reason = re.sub(r"\{\{.*?\}\} ?| using config=.*", "", reason)
    return f"{reason}; {next(advice) or of_another_keras}"


def copied_model(model: Any) -> Any:
    """Return a Keras model with layers and weights of its own."""
    copy = import_keras().models.clone_model(model)
    copy.set_weights(model.get_weights())
    # Of models within it, too.
    for layer in copy._flatten_layers():  # noqa: SLF001  Keras has no public walk into them
        # What Normalization computes with is made of its weights by this alone.
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return copy


def compiled_lite(graph: Any) -> bytes:
    """Compile what `traced` gives, to the network that Keras's own export gives and in half its time.

    ValueError where LiteRT lacks an operation, or there is no graph; the Keras model works all the same.
    """
    if graph is None:
        raise ValueError(
            "TensorFlow cannot draw one graph of it, which is what is compiled"
        )
    import tensorflow as tf

    logger = logging.getLogger("absl")
    level = logger.level
    with hidden_errors():
        logger.setLevel(logging.ERROR)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([graph])
        # Operations outside LiteRT's own need TensorFlow at run time: better found here than live.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            return bytes(converter.convert())
        # The converter has no exception of its own for what it cannot do.
        except Exception as error:
            raise ValueError(_reason(error)) from error
        finally:
            logger.setLevel(level)


def _reason(error: Exception) -> str:
    """Name the operation that the converter complains about, or what else it says without where."""
    if operation := re.search(r"'tfl?\.(\w+)' op", str(error)):
        return f"LiteRT cannot compile the operation {operation[1]}"
    return re.sub("^.*?error: ", "", first_line(error))[:100]
