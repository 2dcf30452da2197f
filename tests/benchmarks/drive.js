// Moves the brightness slider of one notebook and logs when what was painted: see live_latency.py for the protocol.
// Gives { events: [{ value, time }], paints: [{ value, time }] }, times in ms of performance.now().
async ({ variant, mode, values, pause }) => {
  const patience = 8000;
  const panel = jupyterapp.shell.currentWidget.node;
  const events = [];
  const paints = [];
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const frame = () => new Promise(requestAnimationFrame);
  // The first task after the frame: by then the browser has taken over what the frame shows.
  const afterFrame = (then) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => then(performance.now());
    channel.port2.postMessage(0);
  };

  let move;
  if (variant === "usual") {
    const slider = panel.querySelector(".noUi-target");
    move = (value) => slider.noUiSlider.set(value);
  } else {
    const slider = panel.querySelector("input[type=range][data-key=brightness]");
    move = (value) => {
      slider.value = value;
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    };
  }

  // Whether a frame is being made: from its first callback, which is this one, to the task after it.
  let making = false;
  let following = 0;
  const follow = () => {
    making = true;
    afterFrame(() => {
      making = false;
    });
    following = requestAnimationFrame(follow);
  };
  following = requestAnimationFrame(follow);

  // What a widget paints outside a frame is shown in the next one; a figure in the frame after it has loaded.
  const onPainted = ({ detail }) => {
    const log = (time) => paints.push({ value: detail.settings.brightness, time });
    if (making) afterFrame(log);
    else requestAnimationFrame(() => afterFrame(log));
  };
  const onLoad = ({ target }) => {
    const parent = window.figures.get(target.src?.split("base64,")[1]);
    const request = window.wire.find((entry) => entry.sent && entry.id === parent);
    if (!request) return;
    requestAnimationFrame(() =>
      afterFrame((time) => paints.push({ value: request.data.state.value, time })),
    );
  };
  document.addEventListener("kit:painted", onPainted);
  panel.addEventListener("load", onLoad, true);

  const same = (a, b) => Math.abs(a - b) < 0.005;
  const shown = async () => {
    const { value, time } = events.at(-1);
    const isShown = (paint) => paint !== undefined && paint.time > time && same(paint.value, value);
    while (performance.now() < time + patience && !isShown(paints.at(-1))) await frame();
  };
  const event = (value) => {
    events.push({ value, time: performance.now() });
    move(value);
  };

  move(1.7);
  await sleep(1500);
  paints.length = 0;
  window.wire.length = 0;
  window.figures.clear();
  if (mode === "isolated") {
    for (const [index, value] of values.entries()) {
      event(value);
      await shown();
      await sleep(pause + ((index * 37) % 100)); // so that moves fall on any phase of the frames
    }
  } else {
    for (const value of values) {
      await frame(); // a real mouse's events come once a frame, too
      event(value);
    }
    await shown();
  }
  await sleep(300);
  cancelAnimationFrame(following);
  document.removeEventListener("kit:painted", onPainted);
  panel.removeEventListener("load", onLoad, true);
  return { events, paints };
};
