"""Whether an explorer lasts: ``lasting.py [--json FILE] [--quick]``, in a real JupyterLab and a real browser.

Two thousand moves of a slider, two hundred pictures added and removed again, fifty runs of the cell; the
page's heap after a garbage collection and the kernel's resident memory before and after each. Then ten
restarts and ten deaths of the kernel: whether the banner is there within three seconds, and nothing is shown
as valid after.
"""

import argparse
import base64
import json
import os
import signal
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))  # a script starts with its own folder in place of the project's

from tests import chromium  # noqa: E402
from tests.browser.lab import ROOT, jupyter_lab  # noqa: E402
from tests.browser.shown import RECORD, Shown  # noqa: E402

CELL = """
import kit
from kit import samples
explorer = kit.Explorer(samples.classifier("efficientnet_lite0"), samples.photos("imagenet")[:4])
explorer"""
KERNEL = "jupyterapp.shell.currentWidget.sessionContext.session.kernel"
RSS = "import gc, psutil; gc.collect(); print(psutil.Process().memory_info().rss)"
ADD = """(root, text) => {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], 'added.jpg', { type: 'image/jpeg' }));
  root.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
}"""
MOVE = """async (root, count) => {
  const slider = root.querySelector('[data-key=brightness]');
  for (let number = 0; number < count; number++) {
    slider.value = 0.2 + (number % 100) / 50;
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    await new Promise(requestAnimationFrame);
  }
}"""


def main() -> None:
    """Run what there is, print a table and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    given = parser.parse_args()
    tenth = 10 if given.quick else 1
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright)
        with jupyter_lab(browser) as lab:
            report = {"memory": memory(lab, tenth), "lost": lost(lab, 10 // min(tenth, 5))}
        browser.close()
    if given.json:
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def opened(notebook):
    """Run the cell and return its explorer."""
    notebook.run(0)
    shown = Shown(notebook.output(0).locator(".kit-explorer"))
    shown.root.locator(".kit-bars tbody tr").first.wait_for()
    shown.state()
    return shown


def memory(lab, tenth):
    """Return page and kernel memory, in MB, before and after each kind of use."""
    rows = []
    photo = base64.b64encode((ROOT / "data" / "photographs" / "toucan.jpg").read_bytes()).decode()
    with lab.open([CELL]) as notebook:
        session = notebook.page.context.new_cdp_session(notebook.page)

        def measured(what):
            session.send("HeapProfiler.collectGarbage")
            heap = session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
            rows.append(
                {"after": what, "heap": round(heap, 1), "kernel": round(int(notebook.ask(RSS)) / 1e6)}
            )
            print(f"{what:28} heap {rows[-1]['heap']:7.1f} MB   kernel {rows[-1]['kernel']:5} MB", flush=True)

        shown = opened(notebook)
        shown.root.evaluate(MOVE, 100)
        shown.state()
        measured("100 moves")
        for part in range(2):
            shown.root.evaluate(MOVE, 1000 // tenth)
            shown.state()
            measured(f"{(part + 1) * 1000 // tenth} moves more")
        for part in range(2):
            for _ in range(100 // tenth):
                shown.root.evaluate(ADD, photo)
                shown.root.get_by_role("button", name="Remove added.jpg").click()
                shown.root.get_by_role("radio", name="added.jpg").wait_for(state="detached")
            measured(f"{(part + 1) * 100 // tenth} pictures came and went")
        for part in range(2):
            for _ in range(25 // min(tenth, 5)):
                opened(notebook)
            measured(f"{(part + 1) * 25 // min(tenth, 5)} runs of the cell")
    return rows


def lost(lab, count):
    """Return for each restart and death the seconds to the banner, and whether anything was shown after."""
    rows = []
    for what in ("restart", "death"):
        while len([row for row in rows if row["what"] == what]) < count:
            with lab.open([CELL]) as notebook:
                notebook.page.evaluate(RECORD)
                for _ in range(2):  # Jupyter gives a kernel up that dies more often
                    rows.append({"what": what, **ended(notebook, opened(notebook), what)})
                    notebook.wait()
                opened(notebook)
        some = [row for row in rows if row["what"] == what]
        slowest, wrong = max(row["seconds"] for row in some), sum(row["shown"] > 0 for row in some)
        told = f"banner after {slowest} s at most, shown as valid after: {wrong}"
        print(f"{len(some)} times {what}: {told}", flush=True)
    return rows


def ended(notebook, shown, what):
    """End the kernel, and return the seconds to the banner and how many answers were shown after."""
    if what == "restart":
        notebook.page.evaluate(f"() => {{ {KERNEL}.restart(); }}")
    else:
        os.kill(int(notebook.ask("import os; print(os.getpid())")), signal.SIGKILL)
    started = time.perf_counter()
    shown.root.locator(".kit-lost[role=alert]").get_by_text("Run this cell again").wait_for()
    seconds = round(time.perf_counter() - started, 2)
    before = shown.root.evaluate("(root) => (root.painted ?? []).length")
    shown.root.evaluate(MOVE, 5)
    after = shown.root.evaluate("(root) => (root.painted ?? []).length")
    return {"seconds": seconds, "shown": after - before}


if __name__ == "__main__":
    main()
