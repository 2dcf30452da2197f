"""Sweeps: rows against `Classifier.predict`, flips against a scan, and what killing one costs."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import kit
from kit import samples
from kit.images.photo import Picture
from kit.perturbation import Perturbation
from kit.robustness import flip, sweeps
from kit.robustness.sweeps import Sweep, unpredicted_rows
from tests import networks

swept = kit.sweep


def same(one, other):
    assert one.to_dict() == other.to_dict()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve images of clothes as files, and one that is none."""
    place = tmp_path_factory.mktemp("clothes")
    for number, photo in enumerate(samples.photos("fashion_mnist")[:12]):
        Image.fromarray(photo.pixels).save(place / f"{number:02}.png")
    (place / "05.png").write_bytes(
        b"no image at all, but sixteen bytes and more of text"
    )
    (place / "notes.txt").write_text("not looked at")
    return place


@pytest.fixture
def small_blocks(monkeypatch):
    """A block of six rows, which are one image under six perturbations."""
    monkeypatch.setattr(sweeps, "BLOCK_ROWS", 6)


class Backwards:
    """An executor of the smallest interface, which answers in threes and in the wrong order."""

    def __init__(self):
        self.held = []

    def submit(self, function, *arguments):
        future = Future()
        self.held.append((future, function, arguments))
        if len(self.held) == 3:
            for each, work, given in reversed(self.held):
                each.set_result(work(*given))
            self.held = []
        return future


# Rows


def test_rows_of_many_blocks_belong_to_their_picture_perturbation_and_label(fashion):
    # Two blocks for each of three pictures; then 48 of a hundred pictures in a block, one of them broken.
    for count, values, broken in [
        (3, np.linspace(0.2, 2, 120), 1),
        (100, np.array([0.3, 1.5]), 70),
    ]:
        photos = list(samples.photos("fashion_mnist")[:count])
        given = [*photos[:broken], b"none", *photos[broken + 1 :]]
        labels = samples.labels("fashion_mnist")[:count]
        result = swept(fashion, given, {"brightness": values}, labels=labels)
        readable = np.arange(count) != broken
        tops = result.tops.reshape(count, -1)
        confidences = result.confidences.reshape(count, -1)
        for place, value in enumerate(values):
            change = Perturbation(brightness=value)
            expected = fashion.predict(photos, perturbation=change)[readable]
            assert tops[readable, place].tolist() == expected.index.tolist()
            of_labels = expected.probabilities[
                np.arange(count - 1), np.array(labels)[readable]
            ]
            own = result.rows["label_probability"][readable, place]
            assert own.tolist() == of_labels.tolist()
            assert (
                confidences[readable, place].tolist() == expected.probability.tolist()
            )
        assert list(result.errors) == list(
            range(broken * len(values), (broken + 1) * len(values))
        )


def test_a_sweep_by_hand():
    rows = unpredicted_rows(4, 3, ranks=1)
    rows["classes"][..., 0] = [[0, 1, 0], [1, 0, 0], [1, -1, -1], [1, 1, 1]]
    read = rows["classes"] >= 0
    rows["probabilities"][read] = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 1, 0.3, 0.2, 0.1]
    rows["error"][2, 1] = "no image"
    by_hand = Sweep(
        photos=("first", "second", "third", "unlabelled"),
        perturbations=tuple(Perturbation(brightness=value) for value in (0.5, 1, 2)),
        axes={"brightness": (0.5, 1.0, 2.0)},
        labels=np.array([0, 1, 0, -1]),
        rows=rows,
        model={"class_names": ("cat", "dog")},
    )
    # Right are two of two, none and one; the third image was not answered throughout.
    assert by_hand.accuracy().tolist() == [1, 0, 0.5]
    assert by_hand.confidence() == pytest.approx([0.6, 0.5, 0.4])
    assert repr(by_hand) == "4 photos × 3 perturbations, 2 predictions missing"
    pairs = replace(by_hand, axes={"blur": (0.0,), **by_hand.axes})
    title = "accuracy of 3 of 4 images, blur down, brightness across"
    assert pairs.table().text().startswith(title)
    nothing = replace(by_hand, rows=unpredicted_rows(4, 3, ranks=1))
    assert list(nothing.figures) == ["mean confidence"]
    assert np.isnan(nothing.confidence()).all()


# Pictures


def test_a_picture_that_cannot_be_prepared_is_a_row_with_its_error(fashion):
    padded = fashion.using(fashion.preprocessing.replace(fit="pad"))
    result = swept(
        padded, np.zeros((1, 65_000, 3), np.uint8), {"jpeg_quality": (None, 80)}
    )
    assert list(result.errors) == [0, 1]
    assert list(result.figures) == ["mean confidence"]  # no label is known
    assert "Expected at most 100000000 pixels after padding" in result.errors[1]


# Flips


def test_of_no_file_a_flip_starts_at_the_best_quality(fashion, clothes):
    ends = [
        [flip(fashion, photo, "jpeg_quality", start, 1) for photo in clothes[:6]]
        for start in (None, 100)
    ]
    assert ends[0] == ends[1] != [None] * 6
    with pytest.raises(TypeError, match=r"Expected noise .* received None"):
        flip(fashion, clothes[0], "noise", None, 60)


def test_a_flip_is_told_as_it_was_predicted_on_both_sides(fashion, clothes):
    def prediction(photo, **change):
        changed = kit.Perturbation(**change)
        return fashion.predict(photo, perturbation=changed).label

    ends = []
    for photo in clothes[:12]:
        found = flip(fashion, photo, "lift", 0, 128)
        at_the_end = prediction(photo, lift=128)
        assert (found is None) == (prediction(photo) == at_the_end)
        if found:
            assert found.before == prediction(photo, lift=found.last)
            assert found.after == prediction(photo, lift=found.value)
            ends.append((found.after, at_the_end))
    # Of some it never changes; of some, a third class lies between.
    assert len(ends) < 12
    assert any(after != at_the_end for after, at_the_end in ends)


UNFIT = [
    (("brightnes", 0, 1), "Expected the parameter out of .*did you mean 'brightness'"),
    (("flip_vertical", 0, 1), "Expected the parameter out of"),
    (("noise", 0, 101), "Expected noise within 0..100, received 101"),
]


@pytest.mark.parametrize(("arguments", "message"), UNFIT)
def test_flip_refuses_what_cannot_be_bisected(fashion, arguments, message):
    with pytest.raises(ValueError, match=message):
        flip(fashion, samples.photos("fashion_mnist")[0], *arguments)


# Executors (processes and a cluster: test_executors.py)


def test_threads_and_executors_that_answer_in_another_order_give_the_same_rows(
    fashion, folder, small_blocks
):
    grid = {"brightness": (0.05, 1, 2), "noise": (0, 60)}
    serial = swept(fashion, folder, grid)
    with ThreadPoolExecutor(3) as threads:
        same(swept(fashion, folder, grid, executor=threads), serial)
    assert (
        swept(fashion, folder, grid, executor=Backwards()).tops.tolist()
        == serial.tops.tolist()
    )


def test_what_has_not_begun_is_cancelled_when_the_caller_stops():
    futures = []

    class Idle:
        def submit(self, *_):
            if len(futures) == 3:
                raise KeyboardInterrupt
            futures.append(Future())
            return futures[-1]

    with pytest.raises(KeyboardInterrupt):
        list(sweeps.run_tasks(str, enumerate("abcd"), Idle()))
    assert [future.cancelled() for future in futures] == [True] * 3
    with pytest.raises(
        TypeError,
        match=r"^Expected an executor or a Dask client, received 3; see kit.sweep$",
    ):
        list(sweeps.run_tasks(str, (), 3))


def test_tasks_are_read_no_farther_ahead_than_they_may_be():
    read = []
    tasks = ((place, read.append(place)) for place in range(9))
    for done, _ in enumerate(sweeps.run_tasks(str, tasks, Backwards(), 4)):
        assert len(read) - done <= 4


def test_what_a_sweep_is_missing_is_taken_up_again_and_nothing_else(
    fashion, folder, small_blocks, monkeypatch
):
    grid = {"noise": np.linspace(0, 60, 6)}
    whole = swept(fashion, folder, grid)
    opened = []
    original = Picture.open

    def watched(picture, *decoding):
        opened.append(picture.name)
        return original(picture, *decoding)

    def stop(line):
        assert line == "Predicting: 6 of 72"
        raise KeyboardInterrupt

    stopped = kit.sweep(fashion, folder, grid, progress=stop)
    monkeypatch.setattr(Picture, "open", watched)
    missing = stopped.errors
    same(swept(fashion, folder, grid, resume=stopped), whole)
    assert stopped.errors == missing
    assert opened == [f"{number:02}.png" for number in range(1, 12)]
    # The file that cannot be read is tried again.
    opened.clear()
    same(swept(fashion, folder, grid, resume=whole), whole)
    assert opened == ["05.png"]
    # With what was predicted in its block.
    few = swept(fashion, folder, {"noise": (0, 60)})
    opened.clear()
    swept(fashion, folder, {"noise": (0, 60)}, resume=few)
    assert opened == ["03.png", "04.png", "05.png"]
    labels = samples.labels("fashion_mnist")[:12]
    for arguments, name in [
        ((samples.classifier("fashion_mnist_500"), folder, grid), "model"),
        ((fashion, folder, {"noise": (0, 60)}), "perturbations"),
        ((fashion, samples.photos("fashion_mnist")[:12], grid), "photos"),
        ((fashion, folder, grid, labels), "labels"),
    ]:
        with pytest.raises(
            ValueError,
            match=rf"^Expected results for the same {name}, received others; predict all again$",
        ):
            swept(*arguments, resume=whole)


def test_sweeps_of_the_same_model_and_settings_add_up(fashion):
    photos = samples.photos("fashion_mnist")[:5]
    labels = samples.labels("fashion_mnist")[:5]
    grid = {"noise": (0, 60)}
    first = swept(fashion, photos[:2], grid, labels[:2])
    second = swept(fashion, [b"none", *photos[2:]], grid, [None, *labels[2:]])
    both = first + second
    whole = swept(fashion, photos, grid, labels)
    places = [*range(4), *range(6, 12)]
    assert both.tops[places].tolist() == whole.tops.tolist()
    assert both.confidences[places].tolist() == whole.confidences.tolist()
    assert both.photos == (*first.photos, "image 0", *second.photos[1:])
    assert both.accuracy().tolist() == whole.accuracy().tolist()
    assert list(both.errors) == [4, 5]
    namesake = kit.Classifier.load(samples.classifier("fashion_mnist_500").source.path)
    namesake.name = fashion.name
    for model in (
        namesake,
        fashion.using(fashion.preprocessing.replace(invert=True)),
    ):
        with pytest.raises(ValueError, match=r"^Expected results for the same model,"):
            first + swept(model, photos[2:], grid)
    # Nor are two in memory one, which differ in their weights alone.
    ours, theirs = (
        kit.Classifier(networks.small(seed=seed), networks.GREY) for seed in (7, 8)
    )
    with pytest.raises(ValueError, match=r"^Expected results for the same model,"):
        swept(ours, photos[:2], grid) + swept(theirs, photos[2:], grid)


# Arguments and text


NONE = [
    ({}, ValueError, "Expected at least one perturbation with values, received {}"),
    (
        [1.5],
        TypeError,
        "Expected a perturbation as a kit.Perturbation, or a mapping from names to values, received 1.5",
    ),
    ("noise", TypeError, "Expected a perturbation as .* received 'noise'"),
]


@pytest.mark.parametrize(("perturbations", "error", "message"), NONE)
def test_perturbations_that_are_none_are_refused(
    fashion, perturbations, error, message
):
    with pytest.raises(error, match=message):
        swept(fashion, samples.photos("fashion_mnist")[0], perturbations)


def test_one_value_is_an_axis_of_one(fashion):
    photo = samples.photos("fashion_mnist")[0]
    one = swept(fashion, photo, {"noise": 20, "jpeg_quality": None})
    same(one, swept(fashion, photo, {"noise": [20], "jpeg_quality": [None]}))
    assert repr(one.axes) == "{'noise': (20.0,), 'jpeg_quality': (None,)}"
