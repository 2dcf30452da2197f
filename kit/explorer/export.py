"""A page that works without a kernel: the explorer's modules, and the network or a table of predictions."""

import gzip
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from itertools import product
from pathlib import Path
from string import Template
from typing import Self

import numpy as np

from kit._arrays import JSONObject
from kit._bundled import __version__
from kit._reporting import Progress, Steps, say
from kit.classifier.classifier import is_prepared_as_in_training
from kit.explorer import page, why
from kit.explorer.bench import DEFAULT_PLACES_AHEAD, Bench, Entry, View
from kit.explorer.compact import PageError, compact
from kit.explorer.panel import panel, steps_of_path
from kit.explorer.replies import generator_state, step_chips
from kit.explorer.settings import (
    OF_PAGES,
    Settings,
    differing,
    effective_changes,
    neutral,
)
from kit.explorer.shelf import CAMERA, Shelf
from kit.explorer.texts import WORDS, bars
from kit.images.metadata import without_metadata
from kit.perturbation.parameters import PARAMETERS
from kit.preprocessing import Preprocessing, faults
from kit.preprocessing.comparison import contrasts
from kit.preprocessing.resizing import PILLOW
from kit.regression.cases import make_folder_of_new, write_file
from kit.robustness.heatmap import COLD, COVER, HOT

TABLE_STEPS = {"brightness": 0.1, "noise": 5.0}
"""Steps of the sliders of a page with a table."""
FAULTS_NOT_ON_PAGES = {"alpha_dropped", "depth_clipped"}
"""Faults of reading a file that a browser, which reads it by itself, cannot repeat."""
LARGEST_KEPT_KB = 300
"""Most that a saved notebook keeps of an explorer, in kB."""


@dataclass(frozen=True, eq=False)
class Contents:
    """What a page shows: the model, photos, a button each, and the state that the page begins with."""

    bench: Bench
    shelf: Shelf
    tries: Mapping[str, Settings]
    start: Settings
    offers_flips: bool = True

    def for_page(self, names: str | Iterable[str] | None) -> Self:
        """Keep the photos of these names, None for all, and the states that a page can show."""
        shelf = Shelf(self.shelf)
        shelf.pop(CAMERA, None)  # whose frame is no photo of a page
        if names is not None:
            listed = [names] if isinstance(names, str) else names
            # `Shelf` raises a ValueError for a name that is not there.
            shelf = Shelf({name: shelf[name] for name in listed})

        def is_shown(settings: Settings) -> bool:
            return settings["photo"] in shelf and page_can_show(settings)

        tries = {
            name: settings
            for name, settings in self.tries.items()
            if is_shown(settings)
        }
        start = self.start if is_shown(self.start) else neutral(next(iter(shelf), ""))
        return replace(self, shelf=shelf, tries=tries, start=start)

    @property
    def states(self) -> list[Settings]:
        """States that the page has to be able to show."""
        return [self.start, *self.tries.values()]


def page_can_show(settings: Settings) -> bool:
    """Whether a page computes all that is changed in a state."""
    changed = effective_changes(settings)
    # `OF_PAGES` are the settings that JavaScript can do; the values of steps are names of faults.
    return changed.keys() <= OF_PAGES and FAULTS_NOT_ON_PAGES.isdisjoint(
        changed.values()
    )


def write(
    contents: Contents,
    path: Path,
    progress: Progress,
    *,
    exact_weights: bool,
    **title_and_text: str,
) -> Path:
    """Write a page: see `Explorer.export`."""
    # A ValueError for another suffix, or where something else than a file is there; a file is replaced.
    make_folder_of_new(path, ".html")
    # Empty where the page runs the network itself; else why it holds a table of predictions in its place.
    reason_for_table = ""
    try:
        # Weights are rounded to fewer bits unless they are to be exact.
        page_parts = parts_with_network(contents, exact_weights=exact_weights)
    except PageError as error:
        reason_for_table = str(error)
        # The photos of the page: a table has predictions of these alone.
        if not contents.shelf:
            raise ValueError(
                "Expected photos, received none, and the page of this model takes no others, "
                f"since {error}; give some"
            ) from error
        page_parts = parts_with_table(contents, progress)
    html = document(
        contents.bench, page_parts, reason_for_table, **title_and_text
    ).encode()
    write_file(path, html)
    kind = (
        f"predictions, since {reason_for_table}"
        if reason_for_table
        else "the model itself"
    )
    say(f"{path}: {len(html) / 1e6:.1f} MB with {kind}", progress)
    return path


def notebook_parts(contents: Contents, progress: Progress) -> list[str]:
    """Return what a saved notebook keeps: see `Explorer.keep`."""
    # A panel, a table of predictions for each photo, and the photos; `Explorer.keep` gives one photo.
    page_parts = parts_with_table(contents, progress)
    # The notebook saves these texts with the widget's state. They are base 64: a character is a byte.
    kilobytes = sum(map(len, page_parts)) // 1000
    if kilobytes > LARGEST_KEPT_KB:
        raise ValueError(
            f"Expected at most {LARGEST_KEPT_KB} kB to keep, received {kilobytes} kB; use export instead"
        )
    return page_parts


def parts_with_network(contents: Contents, *, exact_weights: bool) -> list[str]:
    """Return a page's panel, its worker's script, the runtime, the network and the photos.

    PageError says why a page cannot run the network.
    """
    shelf = contents.shelf
    # `compact` compares predictions of these with those of the page's network, or raises a PageError.
    tensors_to_check = [
        contents.bench.usual_preprocessing.apply(entry.photo)
        for entry in shelf.values()
    ]
    network_file, place_of_heat_map_weights = compact(
        contents.bench, tensors_to_check, exact_weights=exact_weights
    )
    # The worker predicts in a thread of its own, with the runtime. Files of `vendored` are gzip already.
    worker_script = gzip.decompress(page.vendored("litert.js"))
    worker_script += page.joined(page.WORKER).encode()
    binaries = [
        gzip.compress(worker_script, mtime=0),
        page.vendored("litert.wasm"),
        network_file,
        *map(_file_without_metadata, shelf.values()),
    ]
    # The panel first, then these in the order in which live.js takes them.
    return [
        page.packed_json(_panel_of_page(contents) | {"map": place_of_heat_map_weights}),
        *(b64encode(binary).decode() for binary in binaries),
    ]


def parts_with_table(contents: Contents, progress: Progress) -> list[str]:
    """Return a page's panel, for each photo a table of predictions, and the photos."""
    # For a page that cannot run the network, or a saved notebook.
    shelf = contents.shelf
    tables = [
        page.packed_json(
            _prediction_rows(
                contents, name, f"Photo {number} of {len(shelf)}", progress
            )
        )
        for number, name in enumerate(shelf, 1)
    ]
    page_panel = _panel_of_page(contents)
    for slider in page_panel["sliders"]:
        # Only states that the table has can be shown.
        slider |= {"step": TABLE_STEPS[slider["key"]], "snaps": True}
    photo_files = [
        b64encode(_file_without_metadata(entry)).decode() for entry in shelf.values()
    ]
    # A heat map for each state would make the page several times as large.
    return [
        page.packed_json(page_panel | {"table": True, "map": None}),
        *tables,
        *photo_files,
    ]


def _file_without_metadata(entry: Entry) -> bytes:
    # Of a photo made from an array, too, it makes a file; only the type allows for None.
    return without_metadata(entry.photo).file or b""


def _panel_of_page(contents: Contents) -> JSONObject:
    """Return what a page without a kernel is told once."""
    classifier = contents.bench.classifier
    # What the page of a running kernel has; below stand changes to it, then what a page computes with.
    live_panel = panel(
        contents.bench,
        contents.shelf,
        contents.tries,
        places_ahead=DEFAULT_PLACES_AHEAD,
        offers_flips=contents.offers_flips,
    )
    labels = {
        name: classifier.class_names[entry.label]
        for name, entry in contents.shelf.items()
        if entry.label is not None
    }
    return {
        **live_panel,
        "alone": True,
        "head": classifier.network.compiled.head,
        "labels": labels,
        # The chips from file to prediction, each with the faults to choose from.
        "path": steps_of_path(
            contents.bench.usual_preprocessing,
            live_panel["usual"],
            faults_left_out=FAULTS_NOT_ON_PAGES,
        ),
        "seeds": {
            seed: generator_state(seed)
            for seed in {0, *(settings["seed"] for settings in contents.states)}
        },
        "shape": classifier.network.compiled.input_shape,
        # Of the perturbations that a page computes by itself.
        "sliders": [row for row in live_panel["sliders"] if row["key"] in OF_PAGES],
        "start": contents.start | {"where": None},
        "temperature": classifier.temperature,
        "words": WORDS | why.WORDS,
        "fall": why.FALL,  # of a probability, from which on *Why?* takes it for spoilt
        "asInTraining": is_prepared_as_in_training(classifier),
        "heat": {"cold": COLD.tolist(), "hot": HOT.tolist(), "cover": COVER},
        **_steps_and_choices(contents.bench.usual_preprocessing),
    }


def _steps_and_choices(usual_preprocessing: Preprocessing) -> JSONObject:
    """Return the preprocessing as JSON takes it, and by step what each fault changes in it and is called."""
    usual_fields = fields_for_page(usual_preprocessing)
    # "" is the choice of a step without a fault.
    choices_of_step: dict[str, JSONObject] = {
        step: {"": {"chip": chip}}
        for step, chip in step_chips(usual_preprocessing, usual_preprocessing).items()
    }
    for fault in faults.alternatives(usual_preprocessing):
        faulty = fault.apply(usual_preprocessing)
        choices_of_step[fault.step][fault.name] = {
            "chip": step_chips(faulty, usual_preprocessing)[fault.step],
            # For *Why?*: how this differs from the usual preprocessing.
            "sentence": " ".join(contrasts(faulty, usual_preprocessing).values()),
            "changes": differing(fields_for_page(faulty), usual_fields),
        }
    return {"steps": usual_fields, "choices": choices_of_step}


def fields_for_page(preprocessing: Preprocessing) -> JSONObject:
    """Return the fields of a preprocessing and of its decoding; a filter that pages have not is another."""
    fields = asdict(preprocessing)
    return {
        **fields,
        **fields["decoding"],
        # With a filter that pages lack, predictions come from a table; bilinear only draws the model input.
        "filter": fields["filter"] if fields["filter"] in page.FILTERS else "bilinear",
        # Versions of Pillow, by which resizing differs: for the model input, where 0 is the installed one,
        # and for the step "Thumbnail", which shrinks by the installed one.
        "pillow": fields["pillow"] or PILLOW,
        "shrinks": PILLOW,
    }


def table_settings(contents: Contents, photo: str) -> list[Settings]:
    """Return the settings that are computed for a photo; the first is untouched."""
    values_of_slider = {
        name: np.arange(0, PARAMETERS[name].high + step / 2, step).round(6).tolist()
        for name, step in TABLE_STEPS.items()
    }
    # The untouched photo, each brightness with each noise, each fault alone, and each value of a slider
    # in place of that of the page's first state or of a button.
    changes_of_states: list[Settings] = [{}]
    changes_of_states += [
        dict(zip(values_of_slider, values, strict=True))
        for values in product(*values_of_slider.values())
    ]
    changes_of_states += [
        {fault.step: fault.name}
        for fault in faults.alternatives(contents.bench.usual_preprocessing)
    ]
    for settings in contents.states:
        if settings["photo"] == photo:
            changes_of_states.append(settings)
            changes_of_states += [
                settings | {name: value}
                for name, values in values_of_slider.items()
                for value in values
            ]
    # A page with a table has no heat maps.
    return [neutral(photo) | change | {"where": None} for change in changes_of_states]


def _prediction_rows(
    contents: Contents, photo_name: str, progress_title: str, progress: Progress
) -> list[JSONObject]:
    """Return for each state of a photo the probabilities of the classes that it shows.

    The first has those of all others, too, which show them beside their own.
    """
    bench = contents.bench
    entry = contents.shelf[photo_name]
    untouched_settings, *changed_settings = table_settings(contents, photo_name)
    untouched_view = bench.compute_view(entry, untouched_settings)

    views = [untouched_view]
    views += [
        bench.compute_view(entry, settings, untouched_view)
        for settings in Steps(changed_settings, progress_title, progress)
    ]
    # Only classes with a bar are kept; -1 is the bar of all others together.
    classes_of_views = [{bar["index"] for bar in bars(view)} - {-1} for view in views]
    # The untouched one, which the page shows beside each of them, has the classes of all.
    classes_of_views[0] = set().union(*classes_of_views)
    return [
        _prediction_row(view, sorted(classes))
        for view, classes in zip(views, classes_of_views, strict=True)
    ]


def _prediction_row(view: View, class_indices: Sequence[int]) -> JSONObject:
    """Return what a table has of a state."""
    [calibrated] = view.bench.classifier.calibrated(view.probabilities[None])
    return {
        "settings": differing(view.settings, neutral(view.settings["photo"])),
        "classes": class_indices,
        "row": view.probabilities[class_indices].round(6).tolist(),
        "calibrated": calibrated[class_indices].round(6).tolist(),
        "novel": bool(view.novel),  # None, where nothing tells, counts as no
    }


TABLE_NOTE = "Predictions computed on {date} with kit {version}, since {reason}; nothing leaves this page."
NETWORK_NOTE = "The network runs in this page, made on {date} with kit {version}; no photo leaves it."
WHY_NOTE = " Why? tries only your changes; the notebook also looks for other causes."


def document(
    bench: Bench,
    parts: Sequence[str],  # base 64, with nothing to escape
    reason_for_table: str,  # empty where the page has the network
    *,
    title: str = "",
    text: str = "",
) -> str:
    """Return the page of these parts; the reason says why they are a table, empty where they are not."""
    style = page.page_file("explorer.css") + page.page_file("alone.css")
    script = page.joined((*page.MODULES, "alone"))
    source = bench.classifier.source
    name = bench.classifier.name
    note = (TABLE_NOTE if reason_for_table else NETWORK_NOTE).format(
        date=datetime.now(UTC).date(), version=__version__, reason=reason_for_table
    )
    return Template(page.page_file("alone.html")).substitute(
        style=style,
        # By these hashes the page lets only this style and this script run.
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        title=escape(title or name),
        text=escape(text),
        name=escape(name),
        digest=f", SHA-256 {source.digest}" if source else "",
        note=escape(note + WHY_NOTE),
        data="\n".join(f'<script type="text/plain">{part}</script>' for part in parts),
    )


def _hash(text: str) -> str:
    # As a Content-Security-Policy takes it.
    return b64encode(sha256(text.encode()).digest()).decode()
