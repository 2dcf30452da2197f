"""The notebook that checks cases, as a file."""

import json

from kit.regression.commands import notebook


def test_what_is_printed_now_is_kept_as_people_read_it():
    text = notebook("kit.Classifier.load('näher.keras')", "1 case of näher: 1 hold.\n  one: holds")
    assert "classifier = kit.Classifier.load('näher.keras')" in text
    book = json.loads(text)
    assert book["cells"][2]["outputs"][0]["text"] == ["1 case of näher: 1 hold.\n", "  one: holds\n"]
    assert [cell.get("execution_count") for cell in book["cells"]] == [None, 1, 2]
    waiting = json.loads(notebook("None", ""))["cells"][2]
    assert (waiting["outputs"], waiting["execution_count"]) == ([], None)
