"""A slider that the kernel answers without computing anything: as fast as a widget can be on this machine."""

import anywidget

REPLY = bytes(65_536)  # as large as the explorer's smallest reply
_PAGE = """
export default {
  render({ model, el }) {
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: 0, max: 3, step: 0.05, value: 1 });
    slider.dataset.key = "brightness";
    const bar = document.createElement("div");
    bar.style.cssText = "height: 18px; background: #1b6ec2; transform-origin: left";
    el.append(slider, bar);
    let inFlight = false, waiting = false;
    const send = () => {
      inFlight = true;
      waiting = false;
      model.send({ kind: "settings", settings: { brightness: Number(slider.value) } });
    };
    slider.addEventListener("input", () => { if (inFlight) waiting = true; else send(); });
    model.on("msg:custom", ({ settings }) => {
      inFlight = false;
      if (waiting) send();
      requestAnimationFrame(() => {
        bar.style.transform = `scaleX(${settings.brightness / 3})`;
        const detail = { settings, kernelMs: 0 };
        el.dispatchEvent(new CustomEvent("kit:painted", { bubbles: true, detail }));
      });
    });
  },
};
"""


class Echo(anywidget.AnyWidget):
    """Sends back what the page sends, and 64 KiB of nothing, one message at a time."""

    _esm = _PAGE

    def __init__(self):
        super().__init__()
        self.on_msg(self._answer)

    def _answer(self, _widget, content, _buffers):
        self.send({"kind": "view", "settings": content["settings"]}, [REPLY])
