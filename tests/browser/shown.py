"""The explorer as a page shows it."""

import base64
import math
from pathlib import Path

import numpy as np

from kit.explorer.bench import Bench
from kit.explorer.settings import neutral, perturbation_of
from kit.perturbation import Perturbation

CELL = """import os
import kit
os.getloadavg = lambda: [0]  # whatever other tests do meanwhile
from kit import samples
photos = [photo for photo in samples.photos("imagenet") if photo.name in ("cat.jpg", "espresso.jpg")]
kit.Explorer(samples.classifier("efficientnet_lite0"), photos)"""
GONE = "The kernel was restarted or stopped. Run all cells up to this one."
# Every view keeps what it painted, so that a test can tell what it shows from what it has yet to show.
RECORD = """() => document.addEventListener('kit:painted', ({ target, detail }) => {
  (target.painted ??= []).push(detail.settings);
  target.ahead = detail.ahead;
})"""
_SETTLED = """async (root) => {
  const reach = (bar, track) => {
    const [inner, outer] = [bar, track].map((part) => part.getBoundingClientRect());
    return (inner.right - outer.left) / outer.width;
  };
  const frame = () => new Promise(requestAnimationFrame);
  const end = performance.now() + 20000;
  await frame();
  // The first answer takes the place of the image that the notebook has kept.
  while ((root.dataset.inFlight || !root.painted) && performance.now() < end) await frame();
  await frame();
  await frame();
  const alert = root.querySelector('.kit-error');
  return {
    painted: root.painted ?? [],
    answered: !root.dataset.inFlight,
    stale: root.classList.contains('kit-stale'),
    alert: alert.hidden ? '' : alert.textContent,
    verdict: [...root.querySelectorAll('.kit-verdict span')].map((part) => part.textContent).join(' '),
    bars: [...root.querySelectorAll('.kit-bars tbody tr')].map((row) => ({
      name: row.cells[0].textContent,
      value: Number(row.querySelector('.kit-bar').style.transform.slice(7, -1)),
      text: row.cells[2].textContent,
      length: reach(row.querySelector('.kit-bar'), row.cells[1]),
      top: row.classList.contains('kit-top'),
    })),
  };
}"""
_SEEN = Path(__file__).with_name("seen.js").read_text(encoding="utf-8")
SEEN = f"(root) => {{ {_SEEN} return troublesOf(root); }}"
_PIXELS = """(canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let text = '';
  for (let start = 0; start < data.length; start += 32768) {
    text += String.fromCharCode(...data.subarray(start, start + 32768));
  }
  return [canvas.height, canvas.width, btoa(text)];
}"""


class Shown:
    """One view of an explorer.

    Parameters
    ----------
    root
        Its outermost element.
    """

    def __init__(self, root):
        self.root = root
        self.page = root.page
        root.locator(".kit-bars tbody tr").first.wait_for(timeout=60_000)

    def control(self, key):
        """Return the slider or menu of one setting; of the photo, the button that is chosen."""
        if key == "photo":
            return self.root.locator(".kit-photos input:checked")
        return self.root.locator(f"[data-key={key}]")

    def put(self, key, value):
        """Set a slider or a menu, as a hand would with its end position at once."""
        if key == "photo":
            self.root.get_by_role("radio", name=str(value), exact=True).check(
                force=True
            )
            return
        control = self.control(key)
        if control.evaluate("(control) => control.matches('select')"):
            if not control.is_visible():
                self.press("Other steps")
            control.select_option(str(value))
        elif isinstance(value, bool):
            control.set_checked(value)
        else:
            control.fill(str(value))

    def until(self, key, value):
        """Wait until what is painted has this value of one setting."""
        told = [self.root.element_handle(), key, value]
        self.page.wait_for_function(
            "([root, key, value]) => root.painted?.at(-1)?.[key] === value", arg=told
        )

    def press(self, name):
        """Press a button."""
        self.root.get_by_role("button", name=name, exact=True).click()

    def drag(self, key, fractions):
        """Drag a slider with the mouse to these places along its track, 0 to 1, and let go at the last.

        At each the hand waits until the bars have moved.
        """
        slider = self.control(key)
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        assert box is not None
        height = box["y"] + box["height"] / 2
        low, high, now = (
            float(slider.evaluate(f"(slider) => slider.{name}"))
            for name in ("min", "max", "valueAsNumber")
        )
        thumb = 16  # the middle of Chromium's thumb travels over the track less its own width
        places = [(now - low) / (high - low), *fractions]
        x = [box["x"] + thumb / 2 + place * (box["width"] - thumb) for place in places]
        self.page.mouse.move(x[0], height)
        self.page.mouse.down()
        for each in x[1:]:
            before = self.root.evaluate("(root) => root.painted.length")
            self.page.mouse.move(each, height, steps=4)
            self.page.wait_for_function(
                "([root, before]) => root.painted.length > before",
                arg=[self.root.element_handle(), before],
            )
        self.page.mouse.up()

    def state(self):
        """Wait until the kernel has answered and the answer is painted; return what is shown."""
        state = self.root.evaluate(_SETTLED)
        assert state["answered"], "the kernel did not answer in 20 s"
        return state

    def pixels(self, index):
        """Return the photo's pixels as shown (0), or the network's input's (1): uint8, (H, W, 3)."""
        canvas = self.root.locator("canvas").nth(index)
        # While a hand moves, it has fewer pixels than what it is painted from.
        self.page.wait_for_function(
            "({ style, width, height }) => style.aspectRatio === `${width} / ${height}`",
            arg=canvas.element_handle(),
        )
        height, width, text = canvas.evaluate(_PIXELS)
        rgba = np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)
        assert (rgba[..., 3] == 255).all()
        return rgba[..., :3]

    def assert_shows(self, classifier, photo, **changes):
        """Hold the bars against the classifier for `photo` and these changes of the neutral settings."""
        state = self.state()
        assert state["alert"] == ""
        assert not state["stale"]
        settings = neutral(photo.name) | changes
        assert state["painted"][-1] == settings
        bench = Bench(classifier, classifier.preprocessing)
        row = classifier.probabilities(
            photo, perturbation_of(settings), bench.preprocessing(settings)
        )[0]
        expected = {}
        for name, value in zip(classifier.class_names, row.tolist(), strict=True):
            expected.setdefault(name, []).append(value)
        named = [bar for bar in state["bars"] if not bar["name"].endswith(" others")]
        for bar in named:
            nearest = min(abs(bar["value"] - value) for value in expected[bar["name"]])
            assert nearest <= 1e-3, (
                f"{settings}: {bar} where the classifier gives {expected[bar['name']]}"
            )
            assert math.isclose(bar["length"], bar["value"], abs_tol=1e-3)
            told = float(bar["text"].removesuffix(" %").strip("<>"))
            assert math.isclose(told, 100 * bar["value"], abs_tol=0.11)
        [top] = [bar for bar in state["bars"] if bar["top"]]
        assert math.isclose(top["value"], row.max(), abs_tol=1e-3)
        return state

    def assert_seen(self):
        """Nothing is too pale, covered, cut off, too small to press, or the same in two states."""
        troubles = self.root.evaluate(SEEN)
        assert not troubles, "\n".join(troubles)

    def assert_pixels(self, classifier, photo, **changes):
        """Hold both images against what the kit makes of `photo` under this perturbation."""
        perturbation = Perturbation(**changes)
        np.testing.assert_array_equal(self.pixels(0), perturbation.apply(photo).pixels)
        seen = classifier.preprocessing.image(classifier.tensor(photo, perturbation))
        np.testing.assert_array_equal(self.pixels(1), seen)
