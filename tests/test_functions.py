"""Every main function runs with the packages that are here; their rooms hold what they answer."""

import pytest

import kit

FUNCTIONS = {
    "adapt": lambda model, images, _labels: kit.adapt(model, images),
    "compare": lambda model, images, _labels: kit.compare(model, model, images),
    "heatmap": lambda model, images, _labels: kit.heatmap(model, images[0]),
    "mistakes": kit.mistakes,
    "predict": lambda model, images, labels: model.predict(images, labels),
}
"""The others run in `tests/images/test_photo.py`."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_runs(name, fashion, clothes, clothes_labels):
    images, labels = clothes[:128], clothes_labels[:128]
    assert FUNCTIONS[name](fashion, images, labels) is not None


def test_what_is_pinned_is_checked(tmp_path, fashion, sixteen, truth):
    kit.pin(tmp_path, fashion, sixteen[0], truth[0])
    assert kit.check_cases(tmp_path, fashion).holds
