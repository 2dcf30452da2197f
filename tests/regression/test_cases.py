"""Cases as values, as JSON and as files of a folder."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image

import kit
from kit.preprocessing.trace import StepRecord
from kit.regression import cases as folders
from kit.regression.cases import Observed, probable_classes
from tests.pictures import file_of, smooth

NAMES = ("cat", "dog", "fox")
ORIENTATION, ARTIST, GPS = 274, 315, 0x8825


def row(*shares):
    return np.array(shares, np.float32)


def made(**changes):
    whole = {
        "name": "one", "picture": "pictures/x.png", "sha256": "", "classifier": "net", "weights": "",
        "expected": ("cat",),
        "observed": Observed(((0, "cat", 0.75),), (StepRecord("decode", "uint8 (1, 1, 3)", "0", "1"),)),
    }  # fmt: skip
    return kit.Case(**whole | changes)


def test_the_most_probable_class_has_to_be_one_of_those_expected():
    predicted = row(0.6, 0.3, 0.1)
    assert made(expected=["cat", "fox"]).broken(predicted, NAMES) == ""
    assert (
        made(expected=("dog", "fox")).broken(predicted, NAMES)
        == "it is cat, expected dog or fox"
    )
    assert "no class 'catt'; did you mean 'cat'" in made(expected=("catt",)).broken(
        predicted, NAMES
    )
    for wrong in (3, "cat", (), (1,)):
        with pytest.raises((TypeError, ValueError), match="Expected"):
            made(expected=wrong)


def test_probabilities_are_kept_from_a_thousandth_on_the_most_probable_first():
    found = probable_classes(
        row(0.001, 0.4990001, 0.4990001, 0.0009999), (*NAMES, "owl")
    )
    assert found == ((1, "dog", 0.499), (2, "fox", 0.499), (0, "cat", 0.001))
    assert Observed(found).top == ("dog", 0.499)
    assert Observed(probable_classes(row(0, 0), NAMES)).top == ("no class", 0)
    assert not Observed(found).renamed((*NAMES, "bird"))
    for others in (("owl", "dog", "fox"), ("cat", "dog")):
        assert Observed(found).renamed(others)


def test_a_probability_moves_by_the_largest_difference():
    shares = row(0.6000004, 0.3994991, 0.0005)
    observed = Observed(probable_classes(shares, NAMES))
    assert observed.moved(shares) == 0, "whatever the rounding of what is kept"
    assert observed.moved(row(0.55, 0.4495, 0.0005)) == pytest.approx(0.05, abs=1e-5)
    # What was below a thousandth may become a thousandth and no more.
    assert observed.moved(row(0.6, 0.3, 0.1)) == pytest.approx(0.0995, abs=1e-5)
    assert observed.moved(row(0.6)) == 1
    # Classes and names in another order are the same prediction; in this, "cat" and "dog" alone are kept.
    turned, names = row(0.3994991, 0.0005, 0.6000004), ("dog", "fox", "cat")
    assert observed.moved(turned, names) == 0
    assert not observed.renamed(names)
    assert observed.moved(turned) == pytest.approx(0.599)
    assert observed.moved(shares, names) == pytest.approx(0.5995)
    # Where a name is not unique, its place tells.
    assert observed.renamed(("dog", "cat", "cat"))
    assert observed.moved(row(0, 0.4, 0.6), ("dog", "dog", "cat")) < 0.001


def test_everything_of_a_case_is_in_its_file(tmp_path, classifier, three):
    right = classifier.preprocessing
    given = {
        "perturbation": kit.Perturbation(brightness=1.2, seed=3),
        "preprocessing": right.replace(fit="squash", crop_fraction=1.0),
        "fault": right.replace(channels="bgr"),
    }
    given |= {"tolerance": 0.05, "cause": "channel_order", "note": "seen by Näher"}
    path = kit.pin(
        tmp_path,
        classifier,
        three[0],
        ["espresso", classifier.class_names.index("cup")],
        **given,
    )
    case = folders.read_case(path)
    assert path.name == "espresso-channel-order.json"
    assert case.expected == ("espresso", "cup")
    assert {name: getattr(case, name) for name in given} == given
    assert case.weights == classifier.source.digest
    assert case.picture == f"pictures/{case.sha256[:16]}.jpg"
    assert '"note": "seen by Näher"' in path.read_text(encoding="utf-8")
    np.testing.assert_array_equal(
        folders.photo_of(tmp_path, case).pixels, three[0].pixels
    )
    own = folders.read_case(
        kit.pin(tmp_path, classifier, three[0], case.expected, preprocessing=right)
    )
    assert own.name == "espresso-espresso", "of two classes the first"
    assert own.preprocessing is None, "the classifier's own, whatever that will be"
    assert own.observed.preprocessing == right
    for each in (case, own, made()):
        assert kit.Case.from_json(each.to_json()) == each


def changed(**parts):
    """A case's JSON with parts replaced; a dictionary is merged."""
    data = json.loads(made().to_json())
    for name, value in parts.items():
        data[name] = {**data[name], **value} if isinstance(value, dict) else value
    return json.dumps(data)


NO_CASES = [
    (
        changed(format="kit.case/9"),
        "^Expected a case of the format 'kit.case/1', received 'kit.case/9'$",
    ),
    (changed(extra=1), "extra"),
    (
        changed(expected={"never": ["dog"]}),
        "^Expected the field of what is expected out of classes; received 'never'",
    ),
    (changed(tolerance=2), "tolerance"),
    (changed(name=None), "name as text"),
    (
        changed(expected={"classes": []}),
        r"^Expected names of at least one class, received \[\]$",
    ),
    (
        changed(
            observed={
                "trace": [{"step": "a", "kind": "b", "digest": "c", "means": "d"}]
            }
        ),
        "float",
    ),
    (
        changed(observed={"probabilities": [[-1, "cat", 1]]}),
        "index of a class as a whole number .*, received -1",
    ),
    (changed(observed={"probabilities": [[0, "cat", 2]]}), "a probability within 0..1"),
    (changed(perturbation={"brightnes": 1}), "did you mean 'brightness'"),
    (
        '{"format": "kit.case/1"}',
        "^Expected a whole case, received one without 'observed'$",
    ),
    ("[]", "a JSON object"),
    ("[" * 100_000, "as JSON"),
    ('["\\ud800"]', "as JSON"),
    ("\ufeff{}", r"received text that is not \(Unexpected UTF-8 BOM"),
]


@pytest.mark.parametrize(("text", "message"), NO_CASES)
def test_what_is_no_case_is_refused(text, message):
    with pytest.raises((TypeError, ValueError), match=message):
        kit.Case.from_json(text)


ELSEWHERE = (
    "/x.png",
    "../x.png",
    "..",
    "",
    "a/x.png",
    "C:/x.png",
    "..\\x.png",
    "x.png:stream",
)


@pytest.mark.parametrize("picture", [*ELSEWHERE, "CON.png", "com¹"])
def test_an_image_has_one_file_name_that_is_one_on_every_system(picture):
    with pytest.raises(
        ValueError,
        match=r"^Expected the name of a file below pictures/, received 'pictures/",
    ):
        made(picture=f"pictures/{picture}")


def test_a_folder_has_the_cases_and_each_image_once(cases):
    files = sorted((cases / "pictures").iterdir())
    assert [path.suffix for path in files] == [".jpg"] * 3, "one is in two cases"
    assert {sha256(path.read_bytes()).hexdigest() for path in files} == {
        folders.read_case(path).sha256 for path in folders.case_files(cases)
    }
    assert not list(cases.rglob(".*"))


def test_a_name_that_is_taken_gets_a_number(tmp_path, fashion, clothes):
    names = [
        kit.pin(
            tmp_path, fashion, clothes[0], name="Strange: näme/../x", note=note
        ).name
        for note in "abcab"
    ]
    assert names == [
        "strange-näme-x.json",
        "strange-näme-x-2.json",
        "strange-näme-x-3.json",
        # The same image with all that is said of it is there already.
        "strange-näme-x.json",
        "strange-näme-x-2.json",
    ]
    (picture,) = (tmp_path / "pictures").iterdir()
    assert picture.suffix == ".png"
    with ThreadPoolExecutor(4) as threads:
        list(
            threads.map(
                lambda note: kit.pin(
                    tmp_path, fashion, clothes[0], name="same", note=note
                ),
                "abcdefghijkl",
            )
        )
    assert len(folders.case_files(tmp_path)) == 15, "none takes the place of another"


@pytest.mark.parametrize("expected", [[], {}, 1.5])
def test_what_is_no_class_is_refused_and_nothing_is_pinned(
    tmp_path, fashion, clothes, expected
):
    with pytest.raises(
        (TypeError, ValueError),
        match=r"^Expected (names of at least one class|a label)",
    ):
        kit.pin(tmp_path, fashion, clothes[0], expected)
    assert not list(tmp_path.iterdir())


FILE_NAMES = [
    ("2026-01-31-Cat photo.--tabby, cat", "2026-01-31-cat-photo-tabby-cat"),
    ("--.---...", "case"),
    ("x" * 79 + "-y", "x" * 79),  # no dash at the end
    ("é" * 60, "é" * 40),  # 80 bytes
    ("La\u0308ger 9", "läger-9"),  # as a Mac writes it
    ("Con", "case-con"),  # a device of Windows
    ("aux.1", "case-aux.1"),
]


@pytest.mark.parametrize(("words", "name"), FILE_NAMES)
def test_names_are_good_for_files_everywhere(words, name):
    assert folders.file_stem(words) == name


def test_a_photo_of_a_phone_is_pinned_without_place_and_owner(tmp_path, fashion):
    exif = Image.Exif()
    exif[ORIENTATION], exif[ARTIST] = 6, "Erika Mustermann"
    exif.get_ifd(GPS).update({1: "N", 2: (47.0, 22.0, 33.5)})
    photo = tmp_path / "phone.jpg"
    photo.write_bytes(file_of(Image.fromarray(smooth()), "JPEG", exif=exif))
    for exif_applied in (True, False):
        steps = fashion.preprocessing.replace(decoding=kit.Decoding(exif=exif_applied))
        kit.pin(tmp_path / "cases", fashion, photo, preprocessing=steps)
    (kept,) = (tmp_path / "cases" / "pictures").glob("*.jpg")
    with Image.open(kept) as image:
        assert dict(image.getexif()) == {ORIENTATION: 6}
    np.testing.assert_array_equal(
        kit.load_image(kept).pixels, kit.load_image(photo).pixels
    )
    result = kit.check_cases(tmp_path / "cases", fashion)
    assert [one.state for one in result.cases] == ["holds", "holds"]


def test_an_image_that_is_gone_or_another_is_reported_and_the_others_run(
    cases, classifier
):
    first, second = sorted((cases / "pictures").iterdir())[:2]
    first.unlink()
    second.write_bytes(second.read_bytes() + b"x")
    folders.case_files(cases)[0].write_bytes(b"{")
    result = kit.check_cases(cases, classifier)
    states = [one.state for one in result.cases]
    assert states.count("unusable") + states.count("holds") == 4
    assert states.count("holds") >= 1
    words = " ".join(one.words for one in result.moved)
    assert "received none; copy it there" in words
    assert "as it was, received another file" in words
    assert "as JSON, received text that is not" in words


def test_a_case_that_was_deleted_is_red_until_it_is_struck_off_the_list(
    tmp_path, fashion, clothes
):
    for name in ("second", "first"):
        path = kit.pin(tmp_path, fashion, clothes[0], name=name)
    names = tmp_path / "cases.txt"
    assert names.read_text() == "first\nsecond\n"
    content = path.read_bytes()
    path.unlink()
    gone, other = kit.check_cases(tmp_path, fashion).cases
    assert gone.words.endswith(
        "received no file; restore it, or take it out of cases.txt"
    )
    assert (gone.name, gone.state, other.state) == ("first", "unusable", "holds")
    # Whatever is written there, cases lie in the folder.
    names.write_text("second\n../second\n\n", "utf-8-sig")
    assert kit.check_cases(tmp_path, fashion).holds
    path.write_bytes(content)
    back, other = kit.check_cases(tmp_path, fashion).cases
    assert back.words.endswith(
        ": Expected a line for this case in cases.txt, received none; add its name there"
    )
    assert (back.name, other.state) == ("first", "holds")
    names.write_text("<<<<<<< ours\nfirst\n=======\nsecond\n>>>>>>> theirs\n")
    with pytest.raises(ValueError, match=r"conflict markers; resolve the merge, keep"):
        kit.check_cases(tmp_path, fashion)
    names.write_bytes("café\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"Expected cases\.txt as UTF-8 text, rec"):
        kit.check_cases(tmp_path, fashion)
    # Pinning another one lists those too that came without a list.
    names.unlink()
    kit.pin(tmp_path, fashion, clothes[0], name="third")
    assert names.read_text() == "first\nsecond\nthird\n"


def test_a_link_leads_nowhere_else(tmp_path, fashion, clothes):
    path, other = (
        kit.pin(tmp_path / each, fashion, clothes[0], name="one")
        for each in ("cases", "other")
    )
    for name in ("one.json", folders.read_case(path).picture, "pictures"):
        mine, theirs = path.parent / name, other.parent / name
        mine.rename(tmp_path / "kept")
        mine.symlink_to(theirs)
        before = {each: each.stat().st_mtime_ns for each in other.parent.rglob("*")}
        (one,) = kit.check_cases(path.parent, fashion).cases
        assert f"received the link {mine.name!r}; copy the file there" in one.words
        if name == "pictures":
            with pytest.raises(ValueError, match="received the link"):
                kit.pin(path.parent, fashion, clothes[1])
        assert {
            each: each.stat().st_mtime_ns for each in other.parent.rglob("*")
        } == before
        mine.unlink()
        (tmp_path / "kept").rename(mine)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_file_that_is_no_small_file_is_not_read(tmp_path):
    (tmp_path / "large.json").write_bytes(bytes(1 + (1 << 20)))
    with pytest.raises(ValueError, match="a plain file of at most 1048576 bytes"):
        folders.read_case(tmp_path / "large.json")
    with pytest.raises(ValueError, match="received no file"):
        folders.read_case(tmp_path)
    os.mkfifo(tmp_path / "cases.txt")
    with pytest.raises(ValueError, match=r"a plain file of .*, received 'cases\.txt'$"):
        folders.case_files(tmp_path)
    # As editors of Windows save it, and as large as may be.
    content = b"\xef\xbb\xbf" + made().to_json().encode()
    (tmp_path / "marked.json").write_bytes(content.ljust(1 << 20))
    assert folders.read_case(tmp_path / "marked.json") == made(name="marked")


def test_cases_are_the_json_files_of_a_folder_that_are_not_hidden(tmp_path):
    for name in ("b.json", "a.json", ".draft.json", "notes.txt"):
        (tmp_path / name).write_text("{}")
    assert [path.name for path in folders.case_files(tmp_path)] == ["a.json", "b.json"]
    with pytest.raises(
        ValueError, match=r"^nothing.json: Expected a case, received no file;"
    ):
        folders.read_case(tmp_path / "nothing.json")
    (tmp_path / "a.json").write_text("{\n<<<<<<< HEAD\n=======\n>>>>>>> other\n}")
    with pytest.raises(ValueError, match=r"conflict markers; resolve the merge$"):
        folders.read_case(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(ValueError, match=r"a Git LFS pointer; run git lfs pull$"):
        folders.read_case(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(ValueError, match=r"^a.json: Expected a case as a JSON object,"):
        folders.read_case(tmp_path / "a.json")
    with pytest.raises(TypeError, match=r"the folder of cases first, received Case$"):
        folders.case_files(made())
