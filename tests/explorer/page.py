"""What the explorer's page does, without a browser: it delivers messages and keeps what comes back."""


def listen(explorer):
    """Keep what the explorer sends, contents and buffers, in its attribute ``sent``."""
    explorer.sent = []
    explorer.send = lambda content, buffers=None: explorer.sent.append(
        (content, buffers)
    )
    return explorer


def deliver(explorer, buffers=(), **content):
    """Deliver a message as Jupyter does."""
    data = {"method": "custom", "content": content}
    explorer._handle_msg(
        {"content": {"data": data}, "buffers": [memoryview(part) for part in buffers]}
    )


def ask(explorer, buffers=(), **content):
    """Deliver a message, and return the last answer."""
    deliver(explorer, buffers, **content)
    return explorer.sent[-1]


def searched(explorer):
    """Wait until the last "Why?" is answered or stopped."""
    explorer._diagnosis_thread.submit(int).result()


def panel(explorer):
    """What the page is told once, when it opens."""
    return explorer.get_state()["_panel"]
