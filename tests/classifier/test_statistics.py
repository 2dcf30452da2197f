"""Files of the first layout open with all that they say of the training pictures."""

from pathlib import Path

import numpy as np
import pytest

from kit.classifier import Classifier, loading, store

DATA = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize("name", ["earlier_batchnorm", "earlier_profile"])
def test_statistics_have_the_names_of_today(name, tmp_path):
    found = store.read(DATA / f"{name}.keras")
    assert found.flaw == ""
    assert {each.partition("/")[0] for each in found.statistics} == {"profile", "properties"}
    count = int(found.statistics["properties/count"])
    assert len(found.statistics["profile/moments"]) == len(found.statistics["properties/rows"]) == count
    again = store.write(
        found.path, tmp_path / "again.keras", {**found.contract, "format": 2}, found.statistics
    )
    assert again.digest == found.digest
    for each, array in store.read(again.path).statistics.items():
        np.testing.assert_array_equal(array, found.statistics[each])


def test_their_compiled_form_is_not_run(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(loading, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(
        loading, "ask", lambda *given, **_options: asked.append(given) or {"error": "Expected x"}
    )
    with pytest.raises(ValueError, match="Expected x"):
        Classifier.load(DATA / "earlier_profile.keras")
    assert len(asked) == 1
