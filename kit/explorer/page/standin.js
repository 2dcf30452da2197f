// What answers a page without a kernel: a stand-in for the widget's model, in the kernel's messages.
// Its source knows what each state comes to: computed beforehand (table.js), or when it is asked for (live.js).
const python = (value) =>
  typeof value === "string"
    ? JSON.stringify(value)
    : ({ true: "True", false: "False", null: "None" }[value] ?? String(value));

/** Settings of an address, each of the type that it has in `neutral`. */
function parsed(given, neutral) {
  const read = { boolean: (text) => text === "true", string: (text) => text };
  const known = Object.entries(given).filter(([key]) => key in neutral);
  return Object.fromEntries(
    known.map(([key, text]) => [key, (read[typeof neutral[key]] ?? Number)(text)]),
  );
}

export function standIn(panel, source, alone) {
  const events = {};
  const labels = { ...panel.labels };
  let shown = panel.start;
  const changed = ({ photo: _photo, where: _where, ...settings }) =>
    Object.entries(settings)
      .filter(([key, value]) => value !== panel.neutral[key])
      .sort();
  const has = (name) => panel.photos.some((photo) => photo.name === name);

  /** What is known of settings, with the class that the photo is said to show. */
  async function known(settings) {
    const label = labels[settings.photo] ?? "";
    const row = await source.known(settings, label);
    if (!row) return undefined;
    const state = label && (label === row.answer.name ? "right" : "wrong");
    const mark = state && panel.marks[state].split("{}").join(label);
    const answer = { ...row.answer, label, state, mark };
    const said = [answer.name, answer.share, mark].filter(Boolean).join(", ");
    const bars = row.bars.map((bar) => ({
      ...bar,
      top: bar.index === row.top,
      expected: bar.name === label,
    }));
    return { ...row, bars, answer, verdict: `${said}. ${answer.note}`.trim() };
  }

  async function answered({ settings, held }) {
    const state = [["photo", settings.photo], ...changed(settings)];
    const code = `explorer.settings = {${state.map((pair) => pair.map(python).join(": ")).join(", ")}}`;
    const row = await known(settings);
    if (!row) return [{ kind: "error", text: source.missing, code }];
    const [preview, ...buffers] = await source.painted(settings, row, held);
    return [{ ...row, kind: "view", settings, code, source: preview, kernelMs: null }, ...buffers];
  }

  const view = (content) => {
    shown = content.settings;
    return answered(content);
  };
  const show = (name) => view({ settings: { ...panel.neutral, photo: name } });
  const answers = {
    settings: view,
    ahead: async ({ settings, key, places: [place] }) => {
      // one at a time, so that a hand need not wait
      const [content, pixels] = await answered({
        settings: { ...settings, [key]: place },
        held: settings.photo,
      });
      return content.kind === "error"
        ? [content]
        : [{ kind: "ahead", views: [content], pause: source.pause }, pixels];
    },
    noise: async ({ seed, count }) => [
      { kind: "noise", seed },
      await source.noise(shown, seed, count),
    ],
    keep: () =>
      alone &&
      history.replaceState(
        null,
        "",
        `#${new URLSearchParams([["photo", shown.photo], ...changed(shown)])}`,
      ),
    hello: async (_, request) => {
      const { photo, ...given } = Object.fromEntries(
        new URLSearchParams(alone && location.hash.slice(1)),
      );
      if (!has(photo)) return has(panel.start.photo) ? view({ settings: panel.start }) : [];
      const settings = { ...panel.neutral, ...parsed(given, panel.neutral), photo };
      const answer = await view({ settings });
      if (answer[0].kind !== "error") return answer;
      events["msg:custom"]({ kind: "error", request, text: source.missing });
      return show(photo);
    },
    label: async ({ photo, label }) => {
      if (label && !panel.classes.includes(label))
        return [
          {
            kind: "error",
            text: `Expected one of ${panel.classes.length} class names, received '${label}'`,
          },
        ];
      labels[photo] = label;
      panel.photos.find(({ name }) => name === photo).labelled = label !== "";
      events["change:_panel"]();
      return view({ settings: shown });
    },
    judge: async ({ settings, photos: names }) => {
      const marks = names.map(async (photo) => [
        photo,
        (await known({ ...settings, photo }))?.answer.state ?? "",
      ]);
      return [{ kind: "judged", settings, marks: Object.fromEntries(await Promise.all(marks)) }];
    },
    why: async ({ settings }) => {
      const changes = await source.because(settings, labels[settings.photo] ?? "");
      return [
        {
          kind: "because",
          changes: { ...changes, settings },
          stopped: "The search for a cause needs the notebook.",
        },
      ];
    },
    ...source.answers?.({
      shown: () => shown,
      show,
      view,
      changed: () => events["change:_panel"](),
    }),
  };
  const send = async ({ kind, request, ...content }, _callbacks, sent = []) => {
    try {
      const [reply, ...buffers] = (await answers[kind]?.(content, request, sent)) || [];
      if (reply) events["msg:custom"]({ request, ...reply }, buffers);
    } catch (trouble) {
      events["msg:custom"]({ kind: "error", request, text: trouble.message });
    }
  };
  return {
    get: () => panel,
    on: (event, heard) => {
      events[event] = heard;
    },
    off: () => {},
    send,
  };
}
