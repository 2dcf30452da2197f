"""Keras models are opened without running code of their files, or refused in a line that says what to do."""

import json
import os
import threading

import numpy as np
import pytest

from kit.classifier import loading
from kit.classifier.classifier import Classifier
from kit.classifier.keras_models import check_model, import_keras, load_keras
from tests import networks
from tests.refusals import refused


def changed(source, target, change):
    networks.rewritten(source, target, lambda _, content: change(content))


def test_how_much_a_person_wants_tensorflow_to_log_stays(monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    import_keras()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"


def test_models_that_are_no_picture_classifiers_are_refused(keras):
    layers = keras.layers
    picture, numbers = keras.Input((8, 8, 3)), keras.Input((4,))
    flat = layers.Flatten()(picture)
    both = keras.Model([picture, numbers], layers.Concatenate()([flat, numbers]))
    cases = [
        (both, r"received Functional from \[\(None, 8, 8, 3\), \(None, 4\)\]"),
        (
            keras.Model(picture, [flat, flat]),
            r"to \[\(None, 192\), .*; make keras.Model\(.*, of several outputs model\(.*\)\[…\]$",
        ),
        (networks.stacked((4,), layers.Dense(2)), r"from \[\(None, 4\)\]"),
        (networks.stacked((8, 8, 5), layers.Flatten()), r"from \[\(None, 8, 8, 5\)\]"),
        (networks.stacked((8, 8, 3), layers.Conv2D(2, 3)), r"to \[\(None, 6, 6, 2\)\]"),
        (
            keras.Sequential([layers.Flatten()]),
            r"\(N, 1 or 3, H, W\) to \(N, classes\) alone, received Sequential from \[\] to \[\];",
        ),
        (keras.Model(picture, {"kind": flat}), r"to \[\('kind',\)\]"),
    ]
    for model, message in cases:
        with refused(message):
            check_model(model)
    with pytest.raises(
        TypeError, match=r"Expected a Keras model, received str; see Classifier.load$"
    ):
        check_model("small.keras")


def test_a_function_that_is_registered_here_is_found(keras, tmp_path):
    @keras.saving.register_keras_serializable("mine")
    def doubled(x):
        return 2 * x

    layers = keras.layers
    body = layers.Conv2D(3, 2, activation=doubled), layers.GlobalAveragePooling2D()
    model = networks.stacked((4, 4, 1), *body, layers.Softmax())
    model.save(tmp_path / "mine.keras")
    batch = np.random.default_rng(1).random((2, 4, 4, 1), np.float32)
    opened = Classifier.load(tmp_path / "mine.keras")
    assert opened.predict_tensors(batch) == pytest.approx(
        np.asarray(model(batch)), abs=1e-5
    )


def test_what_a_file_claims_to_need_of_this_process_is_not_looked_for_in_it(
    plain_file, tmp_path, monkeypatch
):
    claimed = b'"build_config": {"x": {"module": "evil", "class_name": "Loss", "registered_name": "a>Loss"}, '
    target = tmp_path / "claims.keras"
    changed(
        plain_file, target, lambda data: data.replace(b'"build_config": {', claimed, 1)
    )
    monkeypatch.setattr(loading, "load_keras", None)
    monkeypatch.setattr(loading, "SECONDS", 0)
    with refused("received no end after 0 s"):
        Classifier.load(target)


@pytest.mark.parametrize(
    ("home", "function"),
    [("config", "set_floatx"), ("applications", "MobileNet"), ("models", "load_model")],
)
@pytest.mark.parametrize(
    "written", ['"function", "config": "{}"', '"{}", "config": {{}}']
)
def test_functions_of_keras_that_do_more_than_compute_are_not_called(
    plain_file, tmp_path, home, function, written
):
    """They set options of the process, or ask a network; Keras would call them as an activation."""
    named = f'{{"module": "keras.{home}", "class_name": {written.format(function)}}}'
    changed(
        plain_file,
        tmp_path / "calls.keras",
        lambda data: data.replace(b'"softmax"', named.encode()),
    )
    with refused(
        f"'calls.keras' with the function '{function}' of keras.{home}",
    ):
        load_keras(tmp_path / "calls.keras")


def test_code_in_a_file_is_not_run_even_where_safe_mode_was_turned_off_for_keras(
    keras, tmp_path
):
    inputs, file = keras.Input((4, 4, 1)), tmp_path / "code.keras"
    doubled = keras.layers.Lambda(lambda x: x * 2)(inputs)
    keras.Model(inputs, keras.layers.Flatten()(doubled)).save(file)
    # In a second sentence Keras advises to turn the safe mode off, which this kit has no way to do.
    message = "^Expected a network .* in safe mode, .*: [^.]*; replace Lambda layers$"
    opened = []

    def user():
        keras.config.enable_unsafe_deserialization()
        opened.append(keras.models.load_model(file, compile=False))
        with refused(message):
            load_keras(file)
        opened.append("refused")

    # Keras keeps the setting by thread: it ends with this one.
    thread = threading.Thread(target=user)
    thread.start()
    thread.join()
    assert opened[1:] == ["refused"]


REGISTERED = r".*; import the module that registers custom layers first \(--import.*"


@pytest.mark.parametrize(
    ("home", "name", "message"),
    [
        (
            "keras.layers",
            "Dnse",
            f"Could not deserialize 'keras.layers.Dnse'{REGISTERED}",
        ),
        (None, "Dnse", f"Could not locate class 'Dnse'{REGISTERED}"),
        # The kit has no Keras that could run one, so that registering it leads nowhere.
        (
            None,
            "KerasLayer",
            r"Could not locate class 'KerasLayer'; Keras 2 alone runs .*\.save\('FOLDER'\), .*",
        ),
    ],
)
def test_unknown_layers_end_in_one_line_that_names_them(
    plain_file, tmp_path, home, name, message
):
    dense, unknown = (
        f'"module": {json.dumps(module)}, "class_name": "{kind}"'.encode()
        for module, kind in (("keras.layers", "Dense"), (home, name))
    )
    changed(
        plain_file, tmp_path / "other.keras", lambda data: data.replace(dense, unknown)
    )
    with refused(f"'other.keras': {message}$"):
        load_keras(tmp_path / "other.keras")


def test_weights_that_are_cut_off_are_no_custom_layers(plain_file, tmp_path):
    changed(
        plain_file,
        tmp_path / "cut.keras",
        lambda data: data[: len(data) // 2 if data[:1] != b"{" else None],
    )
    with refused(r"truncated file[^;]*; copy a damaged file again$"):
        load_keras(tmp_path / "cut.keras")
