"""Files of older versions of Keras, and of Teachable Machine: nested, with arguments that are gone."""

import io
import json
import re
from functools import partial

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from kit.__main__ import main
from kit.classifier import importing, store
from kit.classifier.importing import import_h5
from kit.classifier.keras_models import load_keras
from tests import networks
from tests.networks import stacked
from tests.project import python
from tests.refusals import refused


@pytest.fixture
def here(monkeypatch):
    """Imports run in this process, which has Keras; the other is tested by itself."""

    monkeypatch.setattr(
        importing,
        "run_apart",
        lambda _module, old, folder, **_: importing._import(old, folder),
    )


@pytest.fixture(scope="module")
def teachable():
    """A network in a network in a network, as Teachable Machine puts MobileNet and its head together."""
    keras.utils.set_random_seed(8)
    entry = keras.Input((16, 16, 3))
    first = layers.ReLU(6)(
        layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(entry))
    )
    depthwise = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(first)
    base = keras.Model(entry, layers.Add()([first, depthwise]))
    features = stacked((16, 16, 3), base, layers.GlobalAveragePooling2D())
    return stacked(
        (16, 16, 3), features, stacked((4,), layers.Dense(3, activation="softmax"))
    )


def rewritten(config, change):
    """A configuration of which each part is changed, the innermost first."""
    if isinstance(config, list):
        return [rewritten(each, change) for each in config]
    if isinstance(config, dict):
        return change({key: rewritten(part, change) for key, part in config.items()})
    return config


def of_2_4(part):
    """A part as Keras 2.4 wrote it."""
    part.pop("build_config", None)
    part.pop("module", None)
    settings = part.get("config", {})
    if part.get("class_name") == "DepthwiseConv2D":
        settings["groups"] = 1
    if part.get("class_name") == "BatchNormalization":
        settings |= {"axis": [3], "fused": True}
        del settings["synchronized"]
    if part.get("class_name") == "InputLayer":
        settings["batch_input_shape"] = settings.pop("batch_shape")
    for name in ("input_layers", "output_layers"):
        if (
            isinstance(settings, dict)
            and name in settings
            and isinstance(settings[name][0], str)
        ):
            settings[name] = [settings[name]]
    return part


aged = partial(rewritten, change=of_2_4)


def written(model, path, change=aged):
    model.save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(change(config))
    return path


def test_a_file_of_teachable_machine_is_imported_with_its_weights(
    teachable, here, tmp_path, capsys
):
    old, new = written(teachable, tmp_path / "keras_model.h5"), tmp_path / "new.keras"
    with pytest.raises(TypeError, match="Unrecognized keyword arguments"):
        keras.models.load_model(old, compile=False)
    before = old.read_bytes()
    left_out = import_h5(old, new)
    assert left_out == (
        "fused=True of BatchNormalization",
        "groups=1 of DepthwiseConv2D",
    )
    pictures = np.random.default_rng(1).random((2, 16, 16, 3), np.float32)
    opened = keras.models.load_model(new, compile=False)
    np.testing.assert_array_equal(
        np.asarray(opened(pictures)), np.asarray(teachable(pictures))
    )
    assert old.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "keras_model.h5",
        "new.keras",
    ]
    before = new.read_bytes()
    with refused(r"the existing '.*new\.keras'; name another"):
        import_h5(old, new)
    assert new.read_bytes() == before
    new.unlink()
    assert main(["import", str(old), str(new)]) == 0
    words = f"{new}: architecture and weights of {old}, without {', '.join(left_out)}"
    assert capsys.readouterr().out.strip() == words


def exchanged(source, target, config, change=bytes):
    """A copy of a ``.keras`` file with another architecture, and changed weights."""
    members = {"config.json": lambda _: json.dumps(config), "model.weights.h5": change}
    changed = lambda name, content: members.get(name, bytes)(content)
    return networks.rewritten(source, target, changed)


def private(part):
    """A part as Keras 2.15 wrote it, from private modules."""
    if part.get("class_name") == "Functional":
        part |= {
            "module": "keras.src.engine.functional",
            "registered_name": "Functional",
        }
    return part


@pytest.mark.parametrize("name", ["old.h5", "old.keras"])
def test_a_network_in_a_network_of_keras_2_is_imported(here, tmp_path, name):
    keras.utils.set_random_seed(9)
    entry, inner = keras.Input((16, 16, 3)), keras.Input((16, 16, 3))
    backbone = keras.Model(inner, layers.Conv2D(4, 3)(inner), name="backbone")
    pooled = layers.GlobalAveragePooling2D()(backbone(entry))
    head = stacked((4,), layers.Dense(3, activation="softmax"), name="head")
    model = keras.Model(entry, head(pooled))
    model.save(old := tmp_path / name)
    # There a network's second call is its first, also where it makes the outputs.
    text = re.sub('\\["(backbone|head)", 0,', r'["\1", 1,', model.to_json())
    config = rewritten(aged(json.loads(text)), private)
    config["config"]["layers"][2]["inbound_nodes"] = [[["backbone", 1, 0, {}]]]
    if name == "old.h5":
        written(model, old, lambda _: config)
    else:
        old = exchanged(old, tmp_path / "aged.keras", config)
        with refused(r"python -m kit import OLD\.keras NEW\.keras"):
            load_keras(old)
    (tmp_path / "labels.txt").write_text("0 cat\n1 dog\n2 horse\n", encoding="utf-8")
    import_h5(old, tmp_path / "new.keras")
    images = np.random.default_rng(1).random((2, 16, 16, 3), np.float32)
    opened = load_keras(tmp_path / "new.keras")
    np.testing.assert_array_equal(np.asarray(opened(images)), np.asarray(model(images)))
    contract = store.read_model(tmp_path / "new.keras").contract
    assert (contract["class_names"], contract["preprocessing"]["fit"]) == (
        ["cat", "dog", "horse"],
        "crop",
    )


def test_of_a_newer_keras_what_nobody_has_set_is_left_out(here, tmp_path):
    entry = keras.Input((2, 2, 3))
    model = keras.Model(entry, layers.Conv2D(4, 2, name="only")(entry))
    model.save(old := tmp_path / "old.keras")
    config = json.loads(model.to_json())
    config["config"]["layers"][1]["config"]["kernel_initializer"]["config"] |= {
        "axes": None
    }
    exchanged(old, tmp_path / "newer.keras", config)
    with refused(
        r"; of another Keras make a new file: python -m kit import OLD.keras NEW.keras$",
    ):
        load_keras(tmp_path / "newer.keras")
    left_out = import_h5(tmp_path / "newer.keras", tmp_path / "new.keras")
    assert left_out == ("axes=None of GlorotUniform",)
    image = np.ones((1, 2, 2, 3), np.float32)
    opened = load_keras(tmp_path / "new.keras")
    np.testing.assert_array_equal(np.asarray(opened(image)), np.asarray(model(image)))


def of_2_15(part):
    """A part as Keras 2.15 wrote a network of layers, the first of which has the shape."""
    settings = part.get("config")
    if part.get("class_name") == "Sequential":
        first, second, *_ = settings["layers"]
        shape = first["config"].pop("batch_shape")
        first["config"]["batch_input_shape"] = shape
        second["config"]["batch_input_shape"] = shape
    if part.get("class_name") == "BatchNormalization":
        settings["axis"] = [settings["axis"] % 4]
    return part


def moved(content, name):
    """Weights whose layers lie under other names."""
    old, new = io.BytesIO(content), io.BytesIO()

    def move(path, entry):
        if isinstance(entry, h5py.Dataset):
            layer, variables, key = path.rsplit("/", 2)
            after.require_group(name(layer)).require_group(variables)[key] = entry[()]

    with h5py.File(old) as before, h5py.File(new, "w") as after:
        before.visititems(move)
    return new.getvalue()


SYSTEMS = {
    "2.15": bytes,
    "2.15, Windows": lambda old: moved(old, lambda name: name.replace("/", "\\")),
    "2.13": lambda old: moved(old, as_by_2_13),
}


def as_by_2_13(name):
    """By twos, and under another name of all layers."""
    twice = re.sub(r"_(\d+)$", lambda number: f"_{2 * int(number[1])}", name)
    return twice.replace("layers/", "_layer_checkpoint_dependencies/")


def convolved():
    norm = layers.BatchNormalization()
    body = layers.Conv2D(4, 3), norm, layers.Conv2D(2, 3), layers.Conv2D(3, 3)
    return stacked((12, 12, 3), *body, layers.Flatten(), layers.Dense(3))


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_keras_file_of_2_13_to_2_15_is_imported_from_every_system(
    here, tmp_path, system
):
    model = convolved()
    model.save(tmp_path / "new.keras")
    config = rewritten(json.loads(model.to_json()), of_2_15)
    old = exchanged(
        tmp_path / "new.keras", tmp_path / "old.keras", config, SYSTEMS[system]
    )
    with refused(r"python -m kit import OLD\.keras NEW\.keras"):
        load_keras(old)
    import_h5(old, tmp_path / "imported.keras")
    opened = load_keras(tmp_path / "imported.keras")
    for array, expected in zip(opened.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(array, expected)
    assert opened.input_shape == model.input_shape


@pytest.mark.parametrize("value", ["2", "true"])
def test_an_argument_with_an_effect_is_left_in_and_refused_without_advice_to_import(
    here, tmp_path, value
):
    body = layers.DepthwiseConv2D(3), layers.Flatten(), layers.Dense(3)
    model = stacked((12, 12, 3), *body)
    model.save(tmp_path / "new.keras")

    def grouped(config):
        text = json.dumps(config)
        return json.loads(
            text.replace('"use_bias"', f'"groups": {value}, "use_bias"', 1)
        )

    config = grouped(rewritten(json.loads(model.to_json()), of_2_15))
    old = exchanged(tmp_path / "new.keras", tmp_path / "old.keras", config)
    for file in (old, written(model, tmp_path / "old.h5", grouped)):
        with refused(rf"'{file.name}'.*; convert it with the Keras"):
            import_h5(file, tmp_path / "imported.keras")
    assert not (tmp_path / "imported.keras").exists()


@pytest.mark.parametrize("kind", ["Lambda", "TFOpLambda", "TFSMLayer"])
def test_layers_with_code_are_refused_before_anything_is_built(
    teachable, here, tmp_path, kind
):
    def coded(config):
        return json.loads(json.dumps(config).replace("GlobalAveragePooling2D", kind))

    old = written(teachable, tmp_path / "old.h5", coded)
    with refused(
        (
            rf"a network without code in its file, received 'old.h5' with a {kind} layer; "
            r"convert it with the Keras that wrote it: open\('model.tflite'"
        ),
    ):
        import_h5(old, tmp_path / "new.keras")


@pytest.mark.parametrize(
    ("name", "other"), [("old.h5", "named.keras"), ("old.keras", "named.h5")]
)
def test_a_file_is_imported_by_what_is_in_it_not_by_its_name(
    teachable, here, tmp_path, name, other
):
    teachable.save(tmp_path / name)
    (tmp_path / name).rename(tmp_path / other)
    assert import_h5(tmp_path / other, tmp_path / "new.keras") == ()
    opened = load_keras(tmp_path / "new.keras")
    image = np.linspace(0, 1, 16 * 16 * 3).reshape(1, 16, 16, 3)
    np.testing.assert_array_equal(opened(image), teachable(image))


def test_arithmetic_in_an_h5_file_is_imported(here, tmp_path):
    image = keras.Input((2, 2, 1))
    keras.Model(image, layers.Flatten()(image / 4.0 - 1.0)).save(tmp_path / "old.h5")
    import_h5(tmp_path / "old.h5", tmp_path / "new.keras")
    opened = load_keras(tmp_path / "new.keras")
    result = opened(np.array([0, 2, 4, 8.0]).reshape(1, 2, 2, 1))
    assert np.asarray(result).tolist() == [[-1, -0.5, 0, 1]]


def test_what_needs_no_import_is_refused(tmp_path):
    (tmp_path / "a.tflite").touch()
    with refused(r"^Expected a .h5, .* file, received 'a.tflite'; it is opened"):
        import_h5(tmp_path / "a.tflite", tmp_path / "new.keras")


def test_what_is_no_such_file_is_refused_in_a_line(teachable, here, tmp_path):
    teachable.save_weights(tmp_path / "only.weights.h5")
    (tmp_path / "text.h5").write_bytes(b"no network")
    with h5py.File(written(teachable, tmp_path / "deep.h5"), "r+") as file:
        file.attrs["model_config"] = '{"config": ' * 2000 + "1" + "}" * 2000
    for name in ("only.weights.h5", "text.h5", "deep.h5"):
        with refused(
            (
                rf"Expected (an .h5 file that model.save wrote, received '{name}'( without an architecture; "
                r"it has weights alone: .*|, which is none or damaged; copy it again)$"
                r"|a .h5, .hdf5 or .keras file, received 'only.*'; it has weights alone: .*|a network that)"
            ),
        ):
            import_h5(tmp_path / name, tmp_path / "new.keras")
    for name in ("new.h5", "missing/new.keras"):
        with refused(
            rf"Expected a new file ….keras in a folder .*, received .*{name}'; name another$",
        ):
            import_h5(tmp_path / "text.h5", tmp_path / name)
    with pytest.raises(
        FileNotFoundError, match=r"Expected an existing local model file"
    ):
        import_h5(tmp_path / "none.h5", tmp_path / "new.keras")


def test_keras_builds_it_in_a_process_of_its_own(teachable, tmp_path):
    """Whatever it takes of memory, and however it ends."""
    old = written(teachable, tmp_path / "old.h5")
    script = (
        "import sys, kit; print(kit.import_h5(*sys.argv[1:]), 'keras' in sys.modules)"
    )
    result = python(script, old, tmp_path / "new.keras")
    assert (
        result.stdout
        == "('fused=True of BatchNormalization', 'groups=1 of DepthwiseConv2D') False\n"
    )
