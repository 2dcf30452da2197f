"""The explorer in a real kernel, spoken to as the widget managers of JupyterLab, VS Code and Colab do.

The messages are those of the managers' published sources: ``@jupyter-widgets/base-manager``, vscode-jupyter's
``ipywidgets/kernel`` and googlecolab/colab-cdn-widget-manager.
"""

import pytest
from jupyter_client.manager import KernelManager

from kit import Perturbation
from kit.explorer.replies import REPLY_BYTES

VIEW = "application/vnd.jupyter.widget-view+json"
MANAGER = "https://ssl.gstatic.com/colaboratory-static/widgets/manager.min.js"
# What anywidget finds in Colab: a module that turns on the manager of widgets that are not Colab's own.
COLAB = f"""
import sys, types
output = types.ModuleType("google.colab.output")
output._widgets = types.SimpleNamespace(_installed_url=None)
output.enable_custom_widget_manager = lambda: setattr(output._widgets, "_installed_url", {MANAGER!r})
sys.modules["google.colab.output"] = output
"""
CELL = """
import kit
photos = [kit.samples.photo("cat.jpg"), kit.samples.photo("espresso.jpg")]
classifier = kit.samples.classifier("efficientnet_lite0")
explorer = kit.Explorer(classifier, photos, labels=[282, 967])
"""


class Host:
    """A front end without a page: it keeps the messages that a request brings."""

    def __init__(self, client):
        self.client = client
        self.comm = ""

    def messages(self, request):
        """What the kernel publishes for a request until it is done with it."""
        published = []
        while (
            not published or published[-1]["content"].get("execution_state") != "idle"
        ):
            message = self.client.get_iopub_msg(timeout=120)
            if message["parent_header"].get("msg_id") == request:
                published.append(message)
        assert [m["content"] for m in published if m["msg_type"] == "error"] == []
        return published

    def run(self, code):
        return self.messages(self.client.execute(code))

    def send(self, data, buffers=(), kind="comm_msg", **content):
        """Send a message of the explorer's comm; return data and buffers of those that come back on comms."""
        content = {"comm_id": self.comm, "data": data, **content}
        message = self.client.session.msg(kind, content, metadata={"version": "1.0.0"})
        message["buffers"] = list(buffers)
        self.client.shell_channel.send(message)
        return [
            (answer["content"]["data"], answer["buffers"])
            for answer in self.messages(message["header"]["msg_id"])
            if answer["msg_type"] == "comm_msg"
        ]

    def ask(self, buffers=(), **content):
        """Send what the page asks; return content and buffers of the first answer."""
        data = {"method": "custom", "content": {"request": "a.1", **content}}
        (answer, parts), *_ = self.send(data, buffers)
        assert answer["method"] == "custom"
        return answer["content"], parts


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    manager = KernelManager()
    manager.start_kernel(cwd=str(tmp_path_factory.mktemp("kernel")))
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=120)
    yield Host(client)
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def opened(host):
    """The same with an explorer."""
    published = host.run(CELL)
    models = [m for m in published if m["msg_type"] == "comm_open"]
    host.opened = next(
        m for m in models if m["content"]["data"]["state"]["_model_name"] == "AnyModel"
    )
    host.comm = host.opened["content"]["comm_id"]
    return host


def test_a_cell_opens_a_comm_with_the_whole_state_and_shows_the_widget_first(opened):
    content = opened.opened["content"]
    state = content["data"]["state"]
    assert content["target_name"] == "jupyter.widget"
    assert opened.opened["metadata"]["version"].startswith("2.")
    assert (state["_view_name"], state["_view_module"]) == ("AnyView", "anywidget")
    assert "export default { render }" in state["_esm"]
    shown = [
        m["content"] for m in opened.run("explorer") if m["msg_type"] == "display_data"
    ]
    assert shown[0]["data"][VIEW]["model_id"] == opened.comm
    assert "text/html" in shown[1]["data"]


def test_the_bars_follow_a_slider_with_the_pixels_beside_them(opened, classifier, cat):
    hello, _ = opened.ask(kind="hello")
    for brightness in (0.3, 1.6):
        settings = hello["settings"] | {"brightness": brightness}
        reply, [pixels, *_] = opened.ask(kind="settings", settings=settings)
        expected = classifier.probabilities(cat, Perturbation(brightness=brightness))[0]
        for bar in reply["bars"][:3]:
            assert bar["value"] == pytest.approx(expected[bar["index"]], abs=1e-5)
        assert len(pixels) >= REPLY_BYTES


def test_bytes_that_the_page_sends_arrive(opened, cat):
    for last, part in ((False, cat.file[:50]), (True, cat.file[50:])):
        name = {"number": "1", "name": "mine.png", "last": last}
        data = {
            "method": "custom",
            "content": {"kind": "upload", "request": "a.2", **name},
        }
        opened.send(data, [part])
    reply, _ = opened.ask(kind="hello")
    assert reply["settings"]["photo"] == "mine.png"


def test_in_colab_the_output_names_the_manager_that_shows_it(host):
    # Last, since the kernel is Colab's from here on.
    host.run(COLAB)
    published = host.run(f"{CELL}explorer")
    shown = next(m["content"] for m in published if m["msg_type"] == "display_data")
    assert shown["metadata"][VIEW]["colab"]["custom_widget_manager"]["url"] == MANAGER
