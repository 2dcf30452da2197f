"""Mistakes on labelled images: beside scikit-learn and cleanlab, with planted labels and planted slices."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.stats import chi2_contingency

import kit
from kit.__main__ import main
from kit._bundled import DATA
from kit.perturbation.conditions import CONDITIONS
from kit.robustness.costs import fault_costs
from kit.validation.mistakes import label_errors
from kit.validation.slices import MEASURED, SIDES, find_failing_slices, measured
from tests.networks import GREY, imported_keras, stacked

COUNT = 600
MODEL = str(DATA / "models" / "fashion_mnist.keras")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, fashion, clothes, clothes_labels):
    """A folder for each class, one image named like a script, and one that is none."""
    root = tmp_path_factory.mktemp("labelled")
    for place in range(36):
        inside = (
            root / fashion.class_names[clothes_labels[place]].replace("/", "_").lower()
        )
        inside.mkdir(exist_ok=True)
        Image.fromarray(clothes[place].pixels).save(inside / f"<script>{place}.png")
    (root / "bag" / "broken.png").write_bytes(b"no image")
    (root / "coat" / "photo.HEIC").write_bytes(b"none")
    return root


def test_mistakes_are_ordered_by_their_probability_and_cells_have_theirs(
    fashion, clothes, clothes_labels
):
    result = kit.mistakes(fashion, clothes[:300], clothes_labels[:300])
    wrong = np.flatnonzero(result.predicted != result.labels)
    # Of equally confident ones, the first of the images is first.
    kept = result.swept.rows.copy()
    kept["probabilities"][wrong, 0, 0] = np.arange(len(wrong)) % 3
    even = replace(result, swept=replace(result.swept, rows=kept)).wrong
    assert [one.place for one in even][:4] == wrong[2:12:3].tolist()
    (label, predicted), count = result.confused[0]
    cell = [
        one for one in result.wrong if (one.label, one.predicted) == (label, predicted)
    ]
    assert len(cell) == count
    assert list(result.cell(label, predicted)) == cell
    assert cell[0].picture.open() == clothes[cell[0].place]
    measures = result.measures.copy()
    measures[wrong, MEASURED.index("noise")] += 99
    (failing,) = replace(result, measures=measures).slices
    assert (failing.images, failing.wrong, failing.others) == (len(wrong), 1, 0)
    assert failing.words == "noisy"


def test_texture_is_measured_in_the_middle_of_256_pixels():
    pixels = np.random.default_rng(0).integers(90, 120, (512, 512, 3), np.uint8)
    pixels[128:384, 128:384] = 99
    assert measured(kit.Photo(pixels, "x"))[MEASURED.index("grid")] == 0


def test_planted_labels_look_wrong_as_cleanlab_says(fashion, clothes, clothes_labels):
    rng, labels = np.random.default_rng(1), np.array(clothes_labels[:COUNT])
    planted = rng.choice(COUNT, COUNT // 20, replace=False)
    labels[planted] = (labels[planted] + rng.integers(1, 10, len(planted))) % 10
    # Behind one that cannot be read.
    images = b"none", *clothes[:COUNT]
    found = kit.mistakes(fashion, images, [0, *labels]).doubtful
    places = [mistake.place - 1 for mistake in found]
    # cleanlab 2.9.0, find_label_issues(…, filter_by="confident_learning",
    # return_indices_ranked_by="self_confidence"): 41, of which 24 were planted.
    assert len(places) == 41
    assert len({*places} & {*planted.tolist()}) == 24


def test_labels_look_wrong_in_order_but_not_for_a_class_that_no_image_has():
    kinds = np.r_[[0, 1] * 20, 2, [3] * 40]
    # But for rounding, class 1 is as probable as on average in the last, whose label it is.
    shares = [[0.6 - 5e-7, 0.2], [0.6 - 5e-7, 0.1], [0.5, 0.3], [0.6, 0.6]]
    rows = np.float32(shares)[kinds]
    classes = np.where(kinds[:, None] == 2, [2, 0], [1, 0])
    found = label_errors(np.int64(kinds == 3), rows[:, 1], rows, classes)
    assert found.tolist() == [*range(1, 40, 2), *range(0, 40, 2)]


def test_a_planted_slice_is_found_and_nothing_else():
    rng = np.random.default_rng(0)
    # Each is drawn by its own name, whatever else is measured.
    columns = [np.random.default_rng([*name.encode()]) for name in MEASURED]
    rows = np.column_stack([column.normal(size=600) for column in columns])
    labels = rng.integers(0, 10, 600)
    noise = rows[:, MEASURED.index("noise")]
    wrong = rng.random(600) < np.where(noise > 1.2, 0.6, 0.1)
    (found,) = find_failing_slices(rows, wrong, labels)
    assert (found.name, found.limit) == ("noise", pytest.approx(1.2, abs=0.3))
    inside = noise > found.limit
    assert found.images == inside.sum()
    words = f"Class by class, {found.wrong:.0%} of noisy images are wrong, {found.others:.0%} of the others"
    assert found.summary == f"{words} (noise above {found.limit:.3g})"
    small = replace(found, name="size", words="small", limit=64)
    assert small.summary.endswith(" (size below 64)")
    assert replace(found, name="turned").summary == words
    pale = rows[:, MEASURED.index("saturation")] < -1.2
    both = rng.random(600) < np.where(pale | (noise > 1.2), 0.6, 0.05)
    two = find_failing_slices(rows, both, labels)
    assert {one.words for one in two} == {"noisy", "pale"}
    # In one class the evidence is the likelihood ratio of the 2 x 2 table, as in scipy.
    (alone,) = find_failing_slices(rows, wrong, np.zeros(600, np.int64))
    inside = noise > alone.limit
    counts = [
        [(part & outcome).sum() for part in (inside, ~inside)]
        for outcome in (wrong, ~wrong)
    ]
    ratio = chi2_contingency(counts, correction=False, lambda_="log-likelihood")
    expected = len(SIDES) * np.exp(-ratio.statistic / 2)
    assert alone.p_value == pytest.approx(expected)
    # Of a few images a class the cause is found, too; of one image a class nothing follows.
    (few,) = find_failing_slices(rows, wrong, np.arange(600) // 4)
    assert few.words == "noisy"
    assert not find_failing_slices(rows, wrong, np.arange(600))
    assert all(SIDES.values())
    assert not find_failing_slices(rows, rng.permutation(wrong), labels)
    # A class that is hard and bright is no fault of light.
    rows[:, MEASURED.index("brightness")] += 3 * (labels == 0)
    hard = rng.random(600) < np.where(labels == 0, 0.5, 0)
    assert not find_failing_slices(rows, hard, labels)
    # Nor are a hundred such classes of two to twelve images.
    assert not find_failing_slices(rows, hard, labels + 10 * (np.arange(600) // 60))
    # Of forty images twenty may be a slice.
    (half,) = find_failing_slices(
        rows[:40], noise[:40] > np.median(noise[:40]), labels[:40] * 0
    )
    assert (half.words, half.images, half.wrong, half.others) == ("noisy", 20, 1, 0)
    # What sets its images further apart is the cause, of two that go with the same mistakes.
    noise[:] = rng.random(600) + pale
    rows[pale, MEASURED.index("saturation")] -= 9
    assert [one.words for one in find_failing_slices(rows, pale, labels)] == ["pale"]


def test_a_slice_is_compared_with_images_of_its_classes():
    # All images of a hard class are wrong, of which ten are dark and 190 bright; of another every second
    # of 40 dark ones, every twentieth of 160 others. Of all, 60 % of the dark are wrong, 57 % of the others.
    places = np.arange(400)
    hard = (places < 10) | (places >= 210)
    every = np.where(places < 50, 2, 20)
    wrong = hard | (places % every == every - 1)
    rows = np.full((400, len(MEASURED)), np.nan)
    rows[:, MEASURED.index("brightness")] = places
    (dark,) = find_failing_slices(rows, wrong, np.int64(hard))
    assert (dark.words, dark.images, dark.limit) == ("dark", 50, 50)
    # Weights of 10 · 190 / 200 and 40 · 160 / 200.
    rates = (9.5 + 32 / 2) / 41.5, (9.5 + 32 / 20) / 41.5
    assert (dark.wrong, dark.others) == pytest.approx(rates)


@pytest.fixture
def causes():
    """Measures of 200 images, of which every fifth is wrong and nothing yet goes with that."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, len(MEASURED)))
    rows[:, [CONDITIONS[name].binary for name in MEASURED]] = 0
    wrong = np.arange(200) % 5 == 0

    def failing(**measures):
        changed = rows.copy()
        for name, values in measures.items():
            changed[:, MEASURED.index(name)] = values
        return find_failing_slices(changed, wrong, np.zeros(200, np.int64))[0].words

    return failing, wrong


def test_what_an_image_states_comes_first_and_then_the_widest_gap(causes):
    failing, wrong = causes
    ramp = np.linspace(0, 1, 200)
    # All three set the same images apart: noise by ten times its range, saturation by nothing.
    noise = ramp + 10 * wrong
    saturation = np.argsort(np.argsort(noise)) / 200
    assert failing(noise=noise, saturation=saturation) == "noisy"
    assert failing(noise=saturation, saturation=noise) == "colourful"
    assert failing(noise=noise, size=saturation) == "large"
    assert failing(edge_share=-noise) == "blurred"
    # Where both gaps are wide, the cause comes before what follows from it.
    assert failing(noise=noise, saturation=ramp / 100 + 10 * wrong) == "noisy"


def test_a_value_that_a_third_of_the_images_share_is_a_slice(causes):
    failing, wrong = causes
    assert failing(size=np.where(wrong, 64, 256)) == "small"
    shared = wrong | (np.arange(200) % 10 == 1)
    assert failing(jpeg_quality=np.where(shared, 10, np.nan), turned=shared) == "turned"


def test_folders_name_the_classes(folder, fashion):
    one = kit.mistakes(fashion, folder)
    assert one.accuracy.count == 36
    (note,) = one.notes
    assert note.startswith("not predicted: bag/broken.png, coat/photo.HEIC (")
    assert " 8 bytes " in note
    assert f"mistakes: {len(one.wrong)} of {len(one.wrong)}\n" in one.text()
    # Without names, by their order, as in Keras.
    unnamed = kit.Classifier.load(
        MODEL, class_names=[f"class {place}" for place in range(10)]
    )
    order = sorted(path.name for path in folder.iterdir())
    result = kit.mistakes(unnamed, folder)
    folders = [picture.name.partition("/")[0] for picture in result.pictures]
    assert [order[label] for label in result.labels] == folders
    others = kit.Classifier.load(MODEL, class_names=list("abcdefghij"))
    with pytest.raises(
        ValueError,
        match=r"Expected the label out of a, b, .* received 'ankle boot'",
    ):
        kit.mistakes(others, folder)
    with pytest.raises(
        ValueError,
        match=r"received '<script>0.png' outside; give the folder that has them all, or labels$",
    ):
        kit.mistakes(fashion, next(folder.glob("*/<script>0.png")))


def test_many_classes_without_names_are_those_of_their_folders_and_none_is_left_out(
    tmp_path,
):
    layers, random = imported_keras().layers, np.random.default_rng(0)
    model = stacked(
        (28, 28, 1), layers.AveragePooling2D(7), layers.Flatten(), layers.Dense(30)
    )
    kernel = 4 * random.normal(size=(16, 30))
    model.set_weights([kernel, -kernel.sum(axis=0) / 2])
    classifier = kit.Classifier(model, GREY)
    images = random.integers(0, 256, (120, 4, 4, 3), np.uint8)
    labels = classifier.probabilities(images).argmax(axis=1)
    labels[::3] = np.arange(40) % 30
    for place, label in enumerate(labels):
        folder = tmp_path / f"class {label}" / "more"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[place]).save(folder / f"{place}.png")
    found = kit.mistakes(classifier, tmp_path)
    assert [f"class {label}" for label in found.labels] == [
        one.name.partition("/")[0] for one in found.pictures
    ]
    rows = classifier.probabilities(tmp_path)
    best, own = (
        np.argsort(-rows, axis=1),
        np.take_along_axis(rows, found.labels[:, None], 1)[:, 0],
    )
    expected = label_errors(found.labels, own, np.take_along_axis(rows, best, 1), best)
    assert [one.place for one in found.doubtful] == expected.tolist()
    head, first, *_ = found.table().text().splitlines()
    (label, predicted), count = found.confused[0]
    assert head.split() == ["label", "predicted", "images"]
    assert first.split() == [*label.split(), *predicted.split(), str(count)]
    (tmp_path / "class 3").rename(tmp_path / "three")
    shutil.rmtree(tmp_path / "class 4")
    with pytest.raises(
        ValueError, match=r"^Expected 30 folders, .* received 29; name the classes"
    ):
        kit.mistakes(classifier, tmp_path)


def test_a_row_of_pixels_is_measured_and_without_mistakes_none_is_shown(fashion):
    photos = [np.full((*sides, 3), 9, np.uint8) for sides in ((1, 1), (1, 20), (20, 1))]
    labels = fashion.probabilities(photos).argmax(axis=1).tolist()
    found = kit.mistakes(fashion, photos, labels)
    assert not np.isinf(found.measures).any()
    assert found.text().startswith("3 of 3 images are predicted correctly: 100.0% (")
    assert found.text().endswith(
        "wrong: none.\nNo measured property goes with the mistakes; to see one takes 40 images,"
        " several of a class."
    )
    with pytest.raises(
        ValueError, match=r"^Expected an image file .* 4 bytes of unknown"
    ):
        kit.mistakes(fashion, [b"none"], [0])
    with pytest.raises(
        ValueError, match=r"^Expected at least one image, received none"
    ):
        kit.plots.mistakes_figure(found.wrong)


def test_mistakes_add_up_and_what_is_missing_is_taken_up_again(
    fashion, clothes, clothes_labels, monkeypatch
):
    def predicted(first, last, **settings):
        images, labels = clothes[first:last], clothes_labels[first:last]
        return kit.mistakes(fashion, images, labels, **settings)

    def stop(line):
        if line.startswith("Predicting"):
            raise KeyboardInterrupt

    monkeypatch.setattr("kit.robustness.sweeps.BLOCK_ROWS", 16)
    whole = predicted(0, 20)
    both = predicted(0, 9) + predicted(9, 20)
    assert repr(both) == repr(whole)
    np.testing.assert_array_equal(both.measures, whole.measures)
    stopped = predicted(0, 20, progress=stop)
    assert stopped.accuracy.count == 16
    assert np.isnan(stopped.measures[16:]).all()
    names = ", ".join(photo.name for photo in clothes[16:19])
    assert stopped.notes == (f"not predicted: {names} and 1 more (stopped before it)",)
    assert predicted(0, 20, resume=stopped).to_dict() == whole.to_dict()
    with pytest.raises(ValueError, match=r"^Expected results for the same photos,"):
        predicted(0, 9, resume=stopped)
    monkeypatch.setattr("kit.validation.mistakes.MOST_MEASURED", 5)
    sample = predicted(0, 20)
    measured = np.isfinite(sample.measures).any(axis=1)
    sought = "properties that go with mistakes are looked for in {} of 20 images"
    assert (measured.sum(), sample.notes) == (5, (sought.format(5),))
    assert measured[5:].any(), "at random"

    def interrupted(_):
        raise KeyboardInterrupt

    # Nothing of what was predicted is lost, though nothing was measured yet.
    monkeypatch.setattr("kit.validation.mistakes.measured", interrupted)
    unmeasured = predicted(0, 20)
    assert (unmeasured.accuracy.count, unmeasured.notes) == (20, (sought.format(0),))


def test_the_page_stands_alone_and_takes_no_markup_from_names(folder, tmp_path, capsys):
    target = tmp_path / "report.html"
    assert main(["mistakes", MODEL, str(folder), "--html", str(tmp_path)]) == 3
    assert main(["mistakes", MODEL, "nothing", "--html", f"{__file__}/page.html"]) == 3
    assert "nothing" not in capsys.readouterr().err
    assert main(["mistakes", MODEL, str(folder), "--html", str(target)]) == 0
    page = target.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<title>Mistakes of fashion_mnist</title>" in page
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'\">" in page
    assert page.count("data:image/") >= 2
    assert "http" not in page.replace("http-equiv", "")
    said = capsys.readouterr().out
    assert "of 36 images are predicted correctly" in said
    assert said.endswith(f"{target}: the mistakes as a page\n")


def test_what_takes_long_tells_its_steps(fashion, clothes, clothes_labels):
    told, photos, labels = [], clothes[:20], clothes_labels[:20]
    tell = told.append
    kit.mistakes(fashion, photos, labels, progress=tell)
    kit.calibrate(fashion, photos, labels, progress=tell)
    kit.find_duplicates(photos, photos[:9], progress=tell)
    kit.fit_novelty(fashion, photos, photos[1:], progress=tell)
    # Twenty on each side are enough.
    shift = kit.shift(photos, photos, classifier=fashion, progress=tell)
    assert shift.verdict == "unchanged"
    fault_costs(fashion, photos[:1], labels[:1], progress=tell)
    ended = re.findall(r"^(.*): (\d+) of \2$", "\n".join(told), re.MULTILINE)
    assert ", ".join(what for what, _ in ended) == (
        "Predicting, Measuring, Predicting, Hashing images, Hashing images, Images, Images, "
        "Measuring, Measuring, Predicting changed images, Measuring faults"
    )


def test_where_every_prediction_is_one_class_a_diagnosis_is_advised(fashion, clothes):
    boots = [clothes[0]] * 2
    same = kit.mistakes(fashion, boots, [9, 9], progress=False)
    assert same.notes == ()
    note = "every image is predicted as 'Ankle boot': kit.diagnose looks for the cause"
    assert kit.mistakes(fashion, boots, [9, 1], progress=False).notes == (note,)


def test_where_most_predictions_are_wrong_beyond_chance_a_diagnosis_is_advised(
    fashion, clothes, clothes_labels
):
    def notes(count):
        # The first three are predicted correctly; each label is that of the next class.
        labels = [(label + 1) % 10 for label in clothes_labels[:count]]
        return kit.mistakes(fashion, clothes[:count], labels, progress=False).notes

    # Of three wrong ones, the interval ends at 56 %; of five, at 43 %.
    assert notes(3) == ()
    (note,) = notes(5)
    assert note.startswith("most predictions are wrong: kit.diagnose looks for a cause")
