import json

import pytest

from kit.preprocessing import Preprocessing

HUB = {"class_name": "ImageConverter", "config": {"image_size": [32, 32]}}
FACE = {"do_resize": True, "size": {"height": 32, "width": 32}, "resample": 2, "do_normalize": False}
TIMM = {"input_size": [3, 32, 32], "crop_pct": 1.0}


@pytest.mark.parametrize("content", [HUB, FACE, TIMM])
def test_a_file_and_its_content_are_the_same(content, tmp_path):
    path = tmp_path / "any_name.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    read = Preprocessing.from_config(path)
    assert read == Preprocessing.from_config(str(path)) == Preprocessing.from_config(content)
    assert read.size == (32, 32)


def test_each_kind_is_told_by_its_content():
    assert Preprocessing.from_config(HUB).filter == "tf_bilinear"
    assert Preprocessing.from_config(FACE).filter == "bilinear"
    assert Preprocessing.from_config(TIMM).filter == "bicubic"


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("{", ValueError, "the file x.json as JSON, received text that is not"),
        ("\xff", ValueError, "the file x.json as JSON, received text that is not"),
        ("[" * 100_000, ValueError, "the file x.json as JSON, received text that is not"),
        ("[1]", TypeError, "a JSON object in x.json, received list"),
        ('{"a": 1}', ValueError, "received an object with 'a'"),
        ("{}", ValueError, "received an object with nothing"),
        (
            '{"pretrained_cfg": "a", "input_size": [3, 8, 8]}',
            TypeError,
            "Expected pretrained_cfg as an object",
        ),
        ('{"do_resize": false, "do_x\\ny": true}', ValueError, "received do_x\\?y: true"),
        (" " * (1 << 20) + "{}", ValueError, "at most 1048576 bytes"),
    ],
)
def test_other_files_are_refused_in_one_line(text, error, message, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(error, match=message) as refused:
        Preprocessing.from_config(path)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        Preprocessing.from_config(tmp_path / "missing.json")
