"""Golden pictures in a classifier's file: whether a machine does what was done where it was written."""

import base64
import json
import zipfile
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import kit
from kit import samples
from kit.classifier import store
from kit.classifier.golden import SIDE, Golden, golden_in
from kit.regression.checking import STEPS as MEANT
from kit.regression.golden import Verified, verify_golden
from tests.networks import GREY, NAMES, small


@pytest.fixture(scope="module")
def file(tmp_path_factory, four):
    """EfficientNet-Lite0 with three golden pictures."""
    path = tmp_path_factory.mktemp("golden") / "golden.keras"
    kit.Classifier.load(samples.classifier("efficientnet_lite0").source.path).save(path, golden=four[:3])
    return path


@pytest.fixture
def clothes_file(tmp_path, fashion, clothes):
    path = tmp_path / "clothes.keras"
    kit.Classifier.load(fashion.source.path).save(path, golden=clothes[:2])
    return path


def rewritten(path, change):
    """Write a file anew with some members changed: `change` takes a name and its bytes."""
    with zipfile.ZipFile(path) as old:
        members = [(info, old.read(info)) for info in old.infolist()]
    with zipfile.ZipFile(path, "w") as new:
        for info, data in members:
            new.writestr(info.filename, change(info.filename, data), info.compress_type)


def test_the_machine_that_wrote_them_does_the_same(file):
    found = verify_golden(kit.Classifier.load(file))
    assert (found.pictures, found.step, found.holds) == (3, "", True)
    assert found.difference <= 1e-6
    assert found.text() == "3 golden pictures: equal within 1e-05"


def test_they_are_small(file, classifier, four):
    assert file.stat().st_size - classifier.source.path.stat().st_size < 150_000
    kept = golden_in(kit.Classifier.load(file).reference.golden)
    assert [max(one.photo.size) for one in kept] == [SIDE] * 3
    assert [one.photo.name for one in kept] == [photo.name for photo in four[:3]]


def test_they_are_kept_when_the_file_is_saved_again(clothes_file, tmp_path):
    before = kit.Classifier.load(clothes_file)
    before.save(tmp_path / "again.keras")
    again = kit.Classifier.load(tmp_path / "again.keras")
    assert again.reference.golden == before.reference.golden
    assert verify_golden(again).pictures == 2


STEPS = {
    "thumbnail": {"thumbnail": (14, 14)},
    "invert": {"invert": True},
    "scale": {"scaling": "-1..1"},
    "cast": {"cast": "uint8"},
    "layout": {"layout": "transposed"},
}


@pytest.mark.parametrize("step", STEPS)
def test_another_preprocessing_in_the_file_is_named_by_its_first_step(clothes_file, tmp_path, step):
    opened = kit.Classifier.load(clothes_file)
    opened.using(opened.preprocessing.replace(**STEPS[step])).save(tmp_path / "other.keras")
    found = verify_golden(kit.Classifier.load(tmp_path / "other.keras"))
    assert (found.pictures, found.step, found.holds) == (2, step, False)
    assert "otherwise" in found.text() or "another" in found.text()


def test_another_preprocessing_in_use_is_named_too(file):
    opened = kit.Classifier.load(file)
    for step, changes in (("resize", {"filter": "bilinear"}), ("channels", {"channels": "bgr"})):
        found = verify_golden(opened.using(opened.preprocessing.replace(**changes)))
        assert (found.pictures, found.step) == (3, step)


def test_another_engine_is_named_where_all_steps_are_equal(clothes_file, monkeypatch):
    opened = kit.Classifier.load(clothes_file)
    predict = type(opened).predict_tensors
    monkeypatch.setattr(type(opened), "predict_tensors", lambda self, x: predict(self, x) * np.float32(0.999))
    found = verify_golden(opened)
    assert found.step == "engine"
    assert found.difference == pytest.approx(1e-3, rel=0.5)


def test_weights_that_were_changed_since_are_told(clothes_file):
    def scaled(name, data):
        if name != "model.weights.h5":
            return data
        file = BytesIO(data)
        with h5py.File(file, "r+") as weights:
            arrays = []
            weights.visititems(lambda _, one: arrays.append(one) if isinstance(one, h5py.Dataset) else None)
            kernel = next(one for one in arrays if one.ndim == 4)
            kernel[...] = 1.05 * kernel[...]
        return file.getvalue()

    rewritten(clothes_file, scaled)
    opened = kit.Classifier.load(clothes_file)
    assert "belongs to other weights" in opened.notes[0]
    found = verify_golden(opened)
    assert (found.pictures, found.step, found.holds) == (0, "weights", False)
    assert found.text().startswith("golden pictures of other weights: the network is another one")


def test_damage_is_one_clear_line(clothes_file):
    rewritten(clothes_file, lambda name, data: b"x" * len(data) if name == f"{store.GOLDEN}.plane0" else data)
    with pytest.raises(ValueError, match=r"golden pictures in 'clothes.keras', received damaged") as raised:
        verify_golden(kit.Classifier.load(clothes_file))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"{}", b"3", b"[1]", b'[{"name": "x"}]', b'[{"picture": "?", "name": "x"}]']
)
def test_what_are_no_golden_pictures_is_refused_in_one_line(fashion, data):
    opened = fashion.with_reference(fashion.reference.with_golden(data))
    with pytest.raises(ValueError, match="Expected golden pictures in the file") as raised:
        verify_golden(opened)
    assert "\n" not in str(raised.value)


def test_a_file_without_says_how_to_write_them(fashion):
    found = verify_golden(fashion)
    assert (found.pictures, found.holds) == (0, True)
    assert "classifier.save(path, golden=photos)" in found.text()


def test_more_than_three_and_pictures_without_a_preprocessing_are_refused(tmp_path, fashion, clothes):
    opened = kit.Classifier.load(fashion.source.path)
    with pytest.raises(ValueError, match="at most 3 golden pictures, received 4"):
        opened.save(tmp_path / "x.keras", golden=clothes[:4])
    unknown = kit.Classifier(small(), None, NAMES)
    with pytest.raises(ValueError, match="a known preprocessing for golden pictures"):
        unknown.save(tmp_path / "x.keras", golden=clothes[:1])
    assert not list(Path(tmp_path).iterdir())


def test_a_network_that_was_trained_on_does_not_keep_those_of_its_old_weights(tmp_path, clothes):
    model = small()
    classifier = kit.Classifier(model, GREY, NAMES)
    classifier.save(tmp_path / "before.keras", golden=clothes[:1])
    assert verify_golden(kit.Classifier.load(tmp_path / "before.keras")).pictures == 1
    model.set_weights([1.5 * array for array in model.get_weights()])
    classifier.save(tmp_path / "after.keras")
    found = verify_golden(kit.Classifier.load(tmp_path / "after.keras"))
    assert (found.pictures, found.step) == (0, "")


def test_one_picture_is_told_as_one_and_the_difference_to_two_digits(fashion):
    told = Verified(1, 0.01234, "engine").text()
    assert told == f"1 golden picture: {MEANT['engine']}; a probability differs by 0.012"
    assert Verified(1).text() == "1 golden picture: equal within 1e-05"
    two = Verified(2, 0.5, "scale")
    told = {"pictures": 2, "difference": 0.5, "step": "scale", "holds": False, "told": two.text()}
    assert two.to_dict() == told


def test_the_largest_difference_and_the_first_step_of_all_pictures_are_told(clothes_file, monkeypatch):
    opened = kit.Classifier.load(clothes_file)
    predict = type(opened).predict_tensors
    for factors, expected in (((0.9, 0.99), 0.1), ((0.99, 0.9), 0.1)):
        shares = iter(factors)
        monkeypatch.setattr(
            type(opened),
            "predict_tensors",
            lambda self, x, each=shares: predict(self, x) * np.float32(next(each)),
        )
        kept = golden_in(opened.reference.golden)
        tops = [float(one.probabilities.max()) for one in kept]
        found = verify_golden(opened)
        assert found.difference == pytest.approx(
            max(top * (1 - f) for top, f in zip(tops, factors, strict=True)), abs=1e-4
        )
        assert found.difference == pytest.approx(expected, rel=0.2)


def test_a_picture_larger_than_they_are_is_refused_and_so_is_a_step_that_nobody_knows(fashion, clothes):
    kept = Golden.of(fashion, clothes[0]).to_dict()
    file = BytesIO()
    Image.new("L", (97, 28)).save(file, "PNG")
    large = kept | {"picture": base64.b64encode(file.getvalue()).decode()}
    unknown = kept | {"trace": [step | {"step": "nonsense"} for step in kept["trace"]]}
    longer = kept | {"trace": [*kept["trace"], kept["trace"][-1] | {"step": "nonsense"}]}
    for data in (large, unknown, longer):
        opened = fashion.with_reference(fashion.reference.with_golden(json.dumps([data]).encode()))
        with pytest.raises(ValueError, match="Expected golden pictures"):
            verify_golden(opened)
