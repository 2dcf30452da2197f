"""Every main function runs with the packages that are here; their rooms hold what they answer."""

import pytest

import kit

FUNCTIONS = {
    "adapt": lambda model, images, _labels: kit.adapt(model, images),
    "calibrate": kit.calibrate,
    "check": lambda model, images, _labels: kit.check(
        model, images[:2], model.preprocessing.apply
    ),
    "compare": lambda model, images, _labels: kit.compare(model, model, images),
    "diagnose": lambda model, images, labels: kit.diagnose(
        model.using(model.preprocessing.replace(scaling="-1..1")), images, labels
    ),
    "explore": kit.Explorer,
    "find_duplicates": lambda _model, images, _labels: kit.find_duplicates(
        images[:8], images[8:]
    ),
    "fit_novelty": lambda model, images, _labels: kit.fit_novelty(
        model, images, images
    ),
    "heatmap": lambda model, images, _labels: kit.heatmap(model, images[0]),
    "mistakes": kit.mistakes,
    "predict": lambda model, images, labels: model.predict(images, labels),
    "shift": lambda model, images, _labels: kit.shift(images[:24], images[24:48]),
    "sweep": lambda model, images, labels: kit.sweep(
        model, images, {"noise": [0, 40]}, labels=labels
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_runs(name, fashion, clothes, clothes_labels):
    images, labels = clothes[:128], clothes_labels[:128]
    assert FUNCTIONS[name](fashion, images, labels) is not None


def test_what_is_pinned_is_checked(tmp_path, fashion, sixteen, truth):
    kit.pin(tmp_path, fashion, sixteen[0], truth[0])
    assert kit.check_cases(tmp_path, fashion).holds
