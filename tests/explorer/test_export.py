"""What an exported page has: the network, or a table of predictions where a page cannot run it."""

import gzip
import json
import re
from base64 import b64decode
from dataclasses import fields, replace
from itertools import chain
from types import SimpleNamespace

import numpy as np
import pytest

import kit
from kit.classifier.engines import LiteEngine
from kit.explorer import compact, export, why
from kit.explorer.bench import Bench
from kit.explorer.compact import PageError
from kit.explorer.export import Contents
from kit.explorer.settings import neutral
from kit.explorer.shelf import Shelf
from tests.page import record


@pytest.mark.parametrize("name", sorted(record.FILES.keys() - {"pixels.json"}))
def test_the_page_is_held_to_what_the_kit_computes_and_says_today(name):
    kept = (record.DATA / name).read_text(encoding="utf-8")
    assert kept == record.FILES[name](), "run make record, and read what differs"


def test_pages_are_held_to_each_step_of_a_preprocessing():
    pipelines = [kit.Preprocessing(), *record.pipelines()]
    same = [
        field.name
        for field in fields(pipelines[0])
        if len({str(getattr(one, field.name)) for one in pipelines}) == 1
    ]
    assert same == [], "do it in page/prepare.js, and in a row of tests/page/record.py"


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        (chain(*record.PERTURBED), "PERTURBED of tests/page/record.py"),
        (
            (key for key, _ in record.CHANGES.values()),
            "CHANGES and PROBABILITIES of tests/page/record.py",
        ),
        (export.TABLE_STEPS, "TABLE_STEPS of kit/explorer/export.py"),
    ],
)
def test_pages_are_held_to_each_of_their_sliders(bench, keys, place):
    panel = export._panel_of_page(contents_of(bench))
    sliders = {row["key"] for row in panel["sliders"]}
    assert sliders - {*keys} == set(), f"a row of {place}"


def test_pages_are_held_to_each_of_their_sentences():
    texts = json.loads((record.DATA / "texts.json").read_text("utf-8"))
    said = json.dumps(texts["states"], ensure_ascii=False)
    unsaid = [
        name
        for name, words in why.WORDS.items()
        if not re.search(re.sub(r"\\{\w+\\}", ".+", re.escape(words)), said)
    ]
    assert unsaid == [], "a state of CHANGES and PROBABILITIES of tests/page/record.py"


@pytest.fixture
def bench(fashion):
    return Bench.of(fashion)


POLICY = (
    r"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
    r"base-uri 'none'; form-action 'none'; img-src blob:; worker-src blob:; "
    r"script-src 'sha256-[\w+/]{43}=' 'wasm-unsafe-eval'; style-src 'sha256-[\w+/]{43}='\">"
)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("", "in this page, made on 20"),
        ("it is <b>", "since it is &lt;b&gt;; nothing leaves this page."),
    ],
)
def test_the_foot_of_a_page_says_what_predicts_in_it(bench, reason, words):
    page = export.document(bench, [], reason)
    digest = bench.classifier.source.digest
    assert f"<footer>\n<p>fashion_mnist, SHA-256 {digest}. " in page
    assert words in page
    assert re.search(POLICY, page), (
        "nothing is fetched or sent, and no other script runs"
    )
    assert ". Why? tries only your changes; the notebook also looks" in page


def contents_of(bench, **changes):
    """A page of a cat, in a state with these changes."""
    shelf = Shelf()
    name = shelf.add(kit.samples.photo("cat.jpg"))
    return Contents(bench, shelf, {}, neutral(name) | changes)


def test_a_network_for_pages_predicts_as_the_kit_with_short_weights_and_exactly_without(
    bench, clothes, monkeypatch
):
    batch = np.concatenate(
        [bench.usual_preprocessing.apply(photo) for photo in clothes[:3]]
    )
    wanted = bench.classifier.predict_tensors(batch)
    shelf = Shelf()
    contents = Contents(bench, shelf, {}, neutral(shelf.add(clothes[0])))
    packed = b64decode(export.parts_with_network(contents, exact_weights=True)[3])
    planes = np.frombuffer(gzip.decompress(packed), np.uint8)
    whole = LiteEngine(planes.reshape(4, -1).T.tobytes())
    np.testing.assert_array_equal(whole.predict(batch[:1]), wanted[:1])
    data, short, _ = compact._networks_for_one_image(
        bench.classifier.network.compiled.data
    )
    np.testing.assert_allclose(LiteEngine(short).predict(batch), wanted, atol=1e-3)
    # Between 1 and 2, the 11 bits that are left of 23 tell steps of 2 ** -11 apart.
    values = np.linspace(1, 2, 1024, dtype=np.float32)
    stepped = compact.rounded(values.view(np.uint8)).view(np.float32)
    np.testing.assert_array_equal(stepped, np.rint(values * 2**11) / 2**11)
    smallest = len(gzip.compress(compact.grouped_by_byte_of_number(short)))
    assert smallest < 0.65 * len(gzip.compress(data))
    monkeypatch.setattr(compact, "ROUNDED_BITS", 22)
    monkeypatch.setattr(compact, "trial_tensors", lambda *_: [])
    rough = export.parts_with_network(contents, exact_weights=False)[3]
    assert rough == export.parts_with_network(contents, exact_weights=True)[3]


def test_the_map_of_a_page_comes_from_the_weights_in_the_file(bench, monkeypatch):
    compiled = bench.classifier.network.compiled.data
    data, _, head = compact._networks_for_one_image(compiled)
    stored = np.frombuffer(data, np.float32, head["count"], head["start"])
    [layer] = bench.classifier.network.engine_and_dense_layers[1]
    np.testing.assert_array_equal(stored.reshape(head["rows"], -1), layer.weights)
    assert head["shape"] == [7, 7, 40]  # as the last of its convolutions gives
    # Of two dense layers a page has no gradient.
    network, layers = compact.with_feature_map(compiled)
    monkeypatch.setattr(compact, "with_feature_map", lambda _: (network, 2 * layers))
    assert compact._networks_for_one_image(compiled)[2] is None


@pytest.mark.parametrize(
    ("changes", "novelty", "reason"),
    [
        ({"filter": "cv2_area"}, None, "pages do not resize by cv2_area"),
        ({"size": None}, None, "this network takes images of any size"),
        ({}, "any", "this model tells images of none of its classes"),
    ],
)
def test_a_network_that_a_page_cannot_run_is_refused_with_the_reason(
    bench, changes, novelty, reason
):
    changed = bench.usual_preprocessing.replace(**changes)
    bench = replace(bench, usual_preprocessing=changed, novelty=novelty)
    with pytest.raises(PageError, match=f"^{reason}$"):
        compact.compact(bench, [], exact_weights=False)


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [
        ("LARGEST_NETWORK_BYTES", -1_000_000, "this network has more than -1 MB"),
        ("LARGEST_NETWORK_BYTES", 99_999, "this network has more than 0 MB"),
        ("NUDGE_FACTOR", 0.5, "rounding alone changes what this network predicts"),
    ],
)
def test_a_network_beyond_a_limit_of_pages_is_refused(
    bench, monkeypatch, limit, value, reason
):
    monkeypatch.setattr(compact, limit, value)
    with pytest.raises(PageError, match=f"^{reason}$"):
        compact.compact(bench, [], exact_weights=False)


def test_a_table_has_pairs_of_the_sliders_each_fault_and_what_surrounds_a_start(bench):
    try_ = {"polarity": "inverted", "brightness": 0.31, "noise": 3.0}
    found = export.table_settings(contents_of(bench, **try_), "cat.jpg")
    assert found[0] == neutral("cat.jpg")
    changed = [
        {key: value for key, value in each.items() if value != found[0][key]}
        for each in found
    ]
    for each in (try_, try_ | {"noise": 5.0}, try_ | {"brightness": 3.0}):
        assert each in changed
    assert {"filter": "filter_nearest"} in changed
    pairs = [each for each in changed if each.keys() == {"brightness", "noise"}]
    assert len(pairs) == 30 * 20


def test_a_state_in_a_table_has_the_classes_that_it_shows_and_the_first_those_of_all(
    monkeypatch,
):
    monkeypatch.setattr(export, "TABLE_STEPS", {"brightness": 1.5, "noise": 50.0})
    bench = Bench.of(kit.samples.classifier("efficientnet_lite0").tempered(2))
    first, *others = export._prediction_rows(
        contents_of(bench), "cat.jpg", "", progress=False
    )
    assert max(len(state["classes"]) for state in others) <= 8
    each = set().union(*(state["classes"] for state in others))
    assert each <= set(first["classes"])
    assert min(each) >= 0, "the others together are no class"
    assert len(each) > 20
    before = first["classes"][np.argmax(first["row"])]
    assert all(before in state["classes"] for state in others)
    assert export._panel_of_page(contents_of(bench))["temperature"] == 2
    # A temperature of 2 halves what the logarithms of two probabilities differ by.
    most, calibrated = (np.sort(first[key])[-2:] for key in ("row", "calibrated"))
    assert np.ptp(np.log(calibrated)) == pytest.approx(np.ptp(np.log(most)) / 2, 1e-3)


def test_a_page_knows_all_labels_and_the_seeds_of_its_states_and_begins_without_a_map(
    bench,
):
    shelf = Shelf()
    names = [shelf.add(kit.samples.photo("cat.jpg"), label) for label in (0, 3, None)]
    start = neutral(names[0]) | {"seed": 5, "where": -1}
    panel = export._panel_of_page(
        Contents(bench, shelf, {"noisy": start | {"seed": 7}}, start)
    )
    classes = bench.classifier.class_names
    # The first class, too.
    assert panel["labels"] == {names[0]: classes[0], names[1]: classes[3]}
    assert panel["seeds"].keys() == {0, 5, 7}
    assert panel["start"]["where"] is None


def test_a_page_has_the_chosen_photos_and_the_states_of_them_that_it_computes(bench):
    contents = contents_of(bench)
    panda = contents.shelf.add(kit.samples.photo("panda.jpg"))
    dark = neutral(panda) | {"brightness": 0.2, "seed": 5, "where": 2}
    black = dark | {"alpha": "alpha_black"}
    tries = {
        "dark": dark,
        "black": black,
        "as stored": dark | {"alpha": "alpha_dropped"},
        "soft": dark | {"blur": 1.0},
        "cat": neutral("cat.jpg"),
    }
    chosen = replace(contents, tries=tries, start=dark)
    assert chosen.for_page(["cat.jpg"]).start == neutral("cat.jpg")
    few = chosen.for_page([panda])
    assert (list(few.shelf), few.start) == ([panda], dark)
    assert few.tries == {"dark": dark, "black": black}


def test_a_notebook_keeps_the_photo_that_is_shown_if_that_is_small(
    fashion, clothes, espresso, monkeypatch
):
    monkeypatch.setattr(export, "TABLE_STEPS", {"brightness": 1.5, "noise": 50.0})
    start, rest = espresso.file[:2], espresso.file[2:]
    told = kit.load_image(start + b"\xff\xfe\0\x09at home" + rest, name=espresso.name)
    explorer = kit.Explorer(fashion, [clothes[0], told])
    explorer.settings = {"photo": espresso.name}
    lines = []
    explorer.keep(progress=lines.append)
    assert lines[0].startswith("Photo 1 of 1: 1 of ")
    panel, _, file = explorer._kept
    assert json.loads(gzip.decompress(b64decode(panel)))["map"] is None
    assert b64decode(file) == espresso.file  # without what is said beside the pixels
    monkeypatch.setattr(export, "LARGEST_KEPT_KB", 0)
    size = sum(map(len, explorer._kept)) // 1000
    with pytest.raises(
        ValueError,
        match=f"^Expected at most 0 kB to keep, received {size} kB; use export instead$",
    ):
        explorer.keep(progress=False)


def test_a_network_of_another_runtime_is_refused_with_its_name(bench):
    onnx = "ONNX Runtime runs this network (convert it to .tflite for a page with the model)"
    for data, reason in ((None, "Keras runs this network"), (b"ONNX", onnx)):
        network = SimpleNamespace(compiled=SimpleNamespace(data=data))
        other = replace(bench, classifier=SimpleNamespace(network=network))
        with pytest.raises(PageError) as refused:
            compact.compact(other, [], exact_weights=False)
        assert str(refused.value) == reason
