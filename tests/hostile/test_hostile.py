"""The quick form: hostile inputs of every kind are opened, or refused in one line, and nothing is printed."""

import json
import warnings

from hypothesis import HealthCheck, example, given, settings, strategies as st

from kit import Preprocessing, load_image
from tests.hostile import arrays, cases, journals, long, messages, pictures, preprocessing

SEEDS = st.integers(0, 2**63)


def quick(count):
    return settings(
        max_examples=count,
        deadline=None,  # processors are shared
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def in_one_line(error):
    assert "\n" not in str(error)


def withstood(corpus, seed, folder, capfd):
    [(name, data)] = corpus.corpus(1, seed)
    path = folder / name
    path.write_bytes(data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            corpus.open_one(path)
        except corpus.DOCUMENTED as error:
            in_one_line(error)
    assert [str(each.message) for each in caught] == []
    assert capfd.readouterr() == ("", "")


@quick(300)
@given(seed=SEEDS)
def test_pictures(seed, tmp_path, capfd):
    withstood(pictures, seed, tmp_path, capfd)


@quick(100)
@given(seed=SEEDS)
def test_arrays(seed, tmp_path, capfd):
    withstood(arrays, seed, tmp_path, capfd)


@quick(200)
@given(seed=SEEDS)
def test_preprocessing(seed, tmp_path, capfd):
    withstood(preprocessing, seed, tmp_path, capfd)


@quick(30)
@given(seed=SEEDS)
def test_cases(seed, tmp_path, capfd):
    withstood(cases, seed, tmp_path, capfd)


@quick(100)
@given(seed=SEEDS)
def test_messages(seed, tmp_path, capfd):
    withstood(messages, seed, tmp_path, capfd)


@quick(60)
@given(seed=SEEDS)
def test_journals(seed, tmp_path, capfd):
    withstood(journals, seed, tmp_path, capfd)


@quick(200)
@given(
    data=st.binary(max_size=300),
    head=st.sampled_from(sorted({data[:20] for data in pictures.files().values()})),
)
def test_any_bytes_behind_the_head_of_a_picture(data, head):
    try:
        load_image(head + data)
    except ValueError as error:
        in_one_line(error)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
FIELDS = sorted(preprocessing.KNOWN[0])


@quick(200)
@given(changed=st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3))
@example(changed={"scaling": [{"divisor": 10**400, "mean": None, "std": None}]})
def test_any_values_in_a_preprocessing(changed):
    try:
        Preprocessing.from_json(json.dumps(preprocessing.KNOWN[0] | changed))
    except (TypeError, ValueError) as error:
        in_one_line(error)


@quick(100)
@given(
    content=VALUES
    | st.builds(
        lambda known, more: known | more,
        st.sampled_from(messages.KNOWN),
        st.dictionaries(
            st.sampled_from(("kind", "settings", "name", "places", "seed", "request")), VALUES, max_size=2
        ),
    )
)
def test_any_message(content, tmp_path):
    path = tmp_path / "message.json"
    path.write_text(json.dumps({"content": content, "buffers": [3]}))
    messages.open_one(path)


def test_the_long_form_tells_how_each_child_ended(tmp_path):
    """A child that dies is one offender, named so that it can be made again, and the rest goes on."""
    rows = list(long.chunk("tests_of_itself", 7, 4))
    assert [row.get("died", row.get("error")) for row in rows] == [None, "KeyError", -11, None]
    table = long.summed("tests_of_itself", rows)
    assert (table["inputs"], table["crashes"], table["other"], table["lines"], table["warned"]) == (
        4,
        1,
        1,
        0,
        1,
    )
    assert (table["reasons"], sum(table["refusals"].values())) == (1, 1)
    assert table["offenders"]["crashes"] == ["tests_of_itself:7:2-dies -11"]
    long.remake("tests_of_itself:7:1-raises", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == b"raises"
