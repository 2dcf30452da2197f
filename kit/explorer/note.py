"""The state in words and images, for a saved notebook, an export or a page without the widget."""

from html import escape
from typing import Any

from kit._reporting import tag
from kit.explorer.bench import View
from kit.explorer.page import page_file
from kit.explorer.protocol import Bar
from kit.explorer.replies import heat_map
from kit.explorer.settings import change_words
from kit.explorer.shelf import small_jpeg
from kit.explorer.texts import answer_of, bars, verdict

SIDE = 200
"""Longest side of the two images, in pixels."""
BLOCKS = 25
"""Characters of the longest bar."""
LIVE = "Run this cell to make the explorer live."


def note(view: View) -> dict[str, Any]:
    """Return what stands below the widget, which hides it once it is live; shown after three seconds."""
    changes = [
        change_words(key, view.settings) for key in view.changed if key != "seed"
    ]
    state = ", ".join([view.settings["photo"], *changes])
    heat, _ = heat_map(view)
    html = (
        f"<p><strong>{escape(verdict(answer_of(view)))}</strong><br>"
        f"{escape(f'{view.bench.classifier.name}: {state}')}</p>"
    )
    if heat:
        html += f"<p>{escape(heat['about'])}</p>"
    html += tag(small_jpeg(view.photo.pixels, SIDE), "The photo", "jpeg") + " "
    html += tag(small_jpeg(view.with_heat_map(view.seen), SIDE), "Model input", "jpeg")
    html += f"<table>{''.join(map(_row, bars(view)))}</table><p>{LIVE}</p>"
    return {
        "text/plain": LIVE,
        "text/html": f'<style>{page_file("note.css")}</style><div class="kit-note">{html}</div>',
    }


def _row(bar: Bar) -> str:
    """Return a row with its bar as text, which stays where a notebook is not trusted and has no styles."""
    mark = "✓ " if bar["expected"] else ""
    block_character = "░" if bar["index"] < 0 else "█"
    return (
        f"<tr><th>{mark}{escape(bar['name'])}</th><td>{bar['text']}</td>"
        f"<td>{block_character * round(BLOCKS * bar['value'])}</td></tr>"
    )
