// What of an explorer, as it stands, a person could not see, read, reach or tell apart: one line for each.
window.troublesOf = (root) => {
  const OVER = ".kit-done, .kit-menu div, .kit-say"; // what lies over others, on a ground of its own
  const troubles = new Set();
  const painter = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const named = (node) =>
    `${node.tagName.toLowerCase()}.${node.className} “${node.textContent.trim().slice(0, 30)}”`;
  const check = (right, node, text) => right || troubles.add(`${named(node)}: ${text}`);
  const all = (wanted, of = root) =>
    [...of.querySelectorAll(wanted)].filter((node) =>
      node.checkVisibility({ opacityProperty: true }),
    );
  const box = (node) => node.getBoundingClientRect();

  // -- colours, on what lies below them

  const read = new Map();
  const rgba = (colour) => {
    if (!read.has(colour)) {
      painter.clearRect(0, 0, 1, 1);
      painter.fillStyle = colour;
      painter.fillRect(0, 0, 1, 1);
      const [r, g, b, alpha] = painter.getImageData(0, 0, 1, 1).data;
      read.set(colour, [r, g, b, alpha / 255]);
    }
    return read.get(colour);
  };
  const over = ([r, g, b, alpha], below) =>
    [r, g, b].map((level, k) => alpha * level + (1 - alpha) * below[k]);
  const groundOf = (node) => {
    if (!node) return [255, 255, 255];
    const { backgroundColor, backgroundImage } = getComputedStyle(node);
    const strip = backgroundImage.match(/(?:rgb|color)a?\([^)]*\)/g)?.at(-1); // the lowest of a track
    const [, , , alpha] = rgba(backgroundColor);
    const ground = alpha === 1 ? [0, 0, 0] : groundOf(node.parentElement);
    return over(rgba(strip ?? "#0000"), over(rgba(backgroundColor), ground));
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((level) =>
      level <= 10 ? level / 3294.6 : ((level / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  /** The ratio of WCAG, 1..21. */
  const contrast = (colour, ground) => {
    const [low, high] = [luminance(over(rgba(colour), ground)), luminance(ground)].sort(
      (a, b) => a - b,
    );
    return (high + 0.05) / (low + 0.05);
  };
  const faded = (node) => node?.closest(":disabled, [aria-disabled=true], [inert], .kit-stale");

  // -- words

  const isWord = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim();
  const worded = [root, ...all("*")].filter(
    (node) => [...node.childNodes].some(isWord) && !node.closest("option, .kit-status"),
  );
  const placesOf = (node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return [...range.getClientRects()].filter(({ width, height }) => width > 1 && height > 1);
  };
  for (const node of worded) {
    const { color, opacity, fontSize } = getComputedStyle(node);
    check(parseFloat(fontSize) >= 11, node, "is too small to read");
    if (!faded(node))
      check(contrast(color, groundOf(node)) >= 4.5 && opacity === "1", node, "is too pale");
    for (const part of ["::before", "::after"]) {
      const { color: own, content, backgroundColor } = getComputedStyle(node, part);
      if (content !== "none" && !faded(node))
        check(
          contrast(own, over(rgba(backgroundColor), groundOf(node))) >= 4.5,
          node,
          `${part} is too pale`,
        );
    }
    const { left, right } = box(root);
    const cut = node.closest(".kit-long");
    for (const place of placesOf(node)) {
      const inside = place.left >= left - 1 && place.right <= right + 1;
      const own = box(
        node.closest("td, th, button, label, p, figcaption, legend, summary, pre") ?? node,
      );
      check(cut || node.closest(".kit-photos") || inside, node, "leaves the explorer");
      if (!cut)
        check(place.left >= own.left - 1 && place.right <= own.right + 1, node, "leaves its place");
    }
    if (!cut) continue;
    const isWide = cut.clientWidth >= 24 || cut.clientWidth >= cut.scrollWidth;
    check(isWide && box(cut).height >= 11, node, "has no room");
    const ends = getComputedStyle(cut).overflowX === "hidden" || cut.scrollWidth <= cut.clientWidth;
    check(ends, node, "runs over what is beside it");
  }

  for (const picture of all("canvas, img")) {
    const { width, height } = box(picture);
    check(
      Math.min(width, height) >= (picture.tagName === "IMG" ? 24 : 48),
      picture,
      "is too small",
    );
  }
  check(root.dataset.told || !all("canvas").length, root, "has pictures before there is one");

  // -- what can be pressed, and what lies over what

  const controls = all("button, select, summary, input:not([type=file])");
  const pressable = [...root.querySelectorAll(".kit-photo input, .kit-chip select")].filter(
    (node) => node.checkVisibility(),
  );
  for (const control of [...controls, ...pressable]) {
    const { width, height } = box(control);
    check(Math.min(width, height) > 23.5, control, `is ${width} × ${height}`);
    const lines = new Set(placesOf(control).map(({ top }) => Math.round(top / 4)));
    check(lines.size < 2 || control.matches("select"), control, "has words in several lines");
    const isNumber = control.matches(".kit-range .kit-box");
    check(!isNumber || control.scrollWidth <= control.clientWidth, control, "cuts off its number");
  }
  for (const node of [...worded, ...controls, ...pressable, ...all("canvas")]) {
    const { left, right, top, bottom } =
      (!node.matches(".kit-long") && placesOf(node)[0]) || box(node);
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    const frame = node.closest(".kit-photos, .kit-more");
    if (frame && (x < box(frame).left || x > box(frame).right || y > box(frame).bottom)) continue;
    const hit = document
      .elementsFromPoint(x, y)
      .find((each) => each === node || getComputedStyle(each).opacity !== "0");
    if (!hit || !root.contains(hit) || hit.contains(node) || node.contains(hit)) continue;
    if (node.closest("label")?.contains(hit)) continue;
    const lid = hit.closest(OVER);
    const solid = lid && rgba(getComputedStyle(lid).backgroundColor)[3] === 1;
    check(solid && !lid.contains(node), node, `lies below ${named(hit)}`);
  }
  for (const photo of all(".kit-photo[data-state]:not([data-state=''])")) {
    const { left, bottom } = box(photo);
    const hit = document.elementFromPoint(left + 12, bottom - 13); // at its mark
    check(hit !== photo, photo, "cannot be chosen at its mark");
  }
  check(
    !root.dataset.told || all(".kit-status").length,
    root,
    "tells nothing to those who hear it",
  );
  const CUT = ".kit-long, .kit-long *, input, img, .kit-status"; // as they may be
  for (const node of [root, ...all("*")].filter((each) => !each.matches(CUT)))
    for (const [side, way] of [
      ["Height", "Y"],
      ["Width", "X"],
    ])
      check(
        getComputedStyle(node)[`overflow${way}`] !== "hidden" ||
          node[`scroll${side}`] <= node[`client${side}`] + 1,
        node,
        "is cut off",
      );

  // -- bars, which begin where the scale does

  for (const track of all(".kit-track")) {
    const { left, right, top, bottom } = box(track);
    check(right - left > 70, track, "has no room");
    const [ghost, bar, thin] = [...track.children].map((part) => ({ part, ...box(part).toJSON() }));
    for (const { part, ...place } of [ghost, bar, thin]) {
      if (!part.checkVisibility()) continue;
      const share = Number(part.style.transform.slice(7, -1));
      const ground = groundOf(track);
      const least = part === ghost.part || part.closest(".kit-others") ? 1.3 : 3;
      const { backgroundColor } = getComputedStyle(part);
      check(Math.abs(place.left - left) < 1, part, "begins elsewhere");
      check(Math.abs(place.width - share * (right - left)) < 1, part, "has another length");
      check(
        place.height > 1.5 && place.top >= top && place.bottom <= bottom + 1,
        part,
        "has no height",
      );
      if (!faded(part))
        check(contrast(backgroundColor, ground) >= least, part, `is too pale ${backgroundColor}`);
    }
    check(
      bar.top - ghost.top >= 2 && ghost.bottom - bar.bottom >= 2,
      track,
      "the ghost is behind the bar",
    );
    if (thin.part.checkVisibility())
      check(thin.top >= bar.bottom - 0.5, track, "thin bar over the bar");
    check(
      thin.part.checkVisibility() === all(".kit-even").length > 0,
      track,
      "has a bar without its number, or the other way",
    );
  }
  for (const row of all(".kit-bars tbody tr:first-child")) {
    const { className } = row;
    const grounds = ["", "kit-expected", "kit-others"].map((name) => {
      row.className = name;
      return getComputedStyle(row.querySelector(".kit-bar")).backgroundColor;
    });
    row.className = className;
    check(new Set(grounds).size === 3, row, `bars of all kinds look the same: ${grounds}`);
  }
  for (const scale of all(".kit-scale")) {
    const { left, right, width } = box(scale);
    const [none, half, whole] = [...scale.children].map(box);
    check(Math.abs(none.left - left) < 1 && Math.abs(whole.right - right) < 1, scale, "other ends");
    check(half.width === 0 || Math.abs(half.left - left - width / 2) < 1, scale, "another middle");
  }

  // -- states, which differ by something that stands out

  const paints = (node) =>
    [node, ...(node === root ? [] : node.querySelectorAll(":not(option)"))].flatMap((part) =>
      ["", "::before", "::after"].flatMap((pseudo) => {
        const style = getComputedStyle(part, pseudo || null);
        if (pseudo && style.content === "none") return [];
        const ground = groundOf(pseudo ? part : part.parentElement);
        const own = groundOf(part);
        const shadow = style.boxShadow.match(/(?:rgb|color)a?\([^)]*\)/)?.[0];
        const line = (side) =>
          parseFloat(style[`${side}Width`]) > 0 &&
          style[`${side}Style`] !== "none" &&
          style[`${side}Color`];
        return [
          [
            "text",
            (pseudo || isWord(part.firstChild ?? part)) && style.color,
            own,
            style.fontWeight + style.content,
          ],
          [
            pseudo ? "ground" : "fill",
            rgba(style.backgroundColor)[3] > 0 && style.backgroundColor,
            ground,
          ],
          ["edge", line("borderTop"), ground, style.borderTopWidth],
          ["ring", line("outline"), ground, style.outlineWidth],
          ["shadow", shadow, ground, style.boxShadow],
          ["opacity", part === node && "#000", [255, 255, 255], style.opacity],
        ]
          .filter(([, colour]) => colour)
          .map(([what, colour, below, more]) => ({
            what,
            sign: `${what} ${colour} ${more}`,
            ratio: contrast(colour, below),
            bold: parseInt(more) > 400,
            wide:
              ["text", "opacity"].includes(what) || (what !== "fill" && !(parseFloat(more) < 2)),
          }));
      }),
    );
  const mark = (name) => (node, on) => node.classList.toggle(name, on);
  const attribute = (name, value) => (node, on) =>
    on
      ? node.setAttribute(name, value)
      : node.getAttribute(name) === value && node.removeAttribute(name);
  const STATES = [
    [":scope", { dropped: mark("kit-drop") }],
    [
      ".kit-choice",
      { changed: mark("kit-changed"), guilty: mark("kit-guilty"), fixed: mark("kit-fixed") },
    ],
    [".kit-range:has([type=range])", { changed: mark("kit-changed") }],
    ["button[aria-pressed]", { pressed: attribute("aria-pressed", "true") }],
    ["button", { disabled: attribute("aria-disabled", "true") }],
    [
      ".kit-photo",
      { right: attribute("data-state", "right"), wrong: attribute("data-state", "wrong") },
    ],
    [".kit-photo", { chosen: (node, on) => (node.querySelector("input").checked = on) }],
    [".kit-mark", { right: mark("kit-right"), wrong: mark("kit-wrong") }],
    [".kit-bars tbody tr", { top: mark("kit-top"), expected: mark("kit-expected") }],
  ];
  for (const [wanted, states] of matchMedia("(forced-colors: active)").matches ? [] : STATES)
    for (const node of wanted === ":scope"
      ? [root]
      : new Map(all(wanted).map((each) => [each.parentElement, each])).values()) {
      const before = node.cloneNode(true);
      const checked = root.querySelector(".kit-photo :checked");
      const looks = ["as it is not", ...Object.keys(states)].map((wantedState) => {
        for (const [state, put] of Object.entries(states)) put(node, state === wantedState);
        return [wantedState, paints(node)];
      });
      for (const { name, value } of before.attributes) node.setAttribute(name, value);
      for (const name of node.getAttributeNames())
        if (!before.hasAttribute(name)) node.removeAttribute(name);
      if (checked) checked.checked = true;
      const [[, plain]] = looks;
      for (const [state, look] of looks.slice(1)) {
        const fresh = look.filter(({ sign }) => !plain.some((each) => each.sign === sign));
        const byColourAlone = state === "changed" && !fresh.some(({ bold }) => bold);
        check(
          fresh.some(({ wide }) => wide) && !byColourAlone,
          node,
          `hardly shows that it is ${state}`,
        );
        for (const { what, sign, ratio } of fresh)
          check(
            ["text", "fill"].includes(what) || ratio >= 3,
            node,
            `${state}: ${sign} does not stand out`,
          );
      }
      const signs = looks
        .slice(1)
        .map(([, look]) =>
          look.filter(
            ({ what, sign }) => what !== "text" && !plain.some((each) => each.sign === sign),
          ),
        );
      const own = signs.flatMap((fresh) => [...new Set(fresh.map(({ sign }) => sign))]);
      check(new Set(own).size === own.length, node, `${Object.keys(states)} look the same: ${own}`);
    }

  for (const node of all("[inert], .kit-stale .kit-bars, .kit-stale .kit-verdict"))
    check(getComputedStyle(node).opacity < 0.6, node, "does not look stale");

  // -- where the focus is

  const focus = root.querySelector(":focus-visible");
  if (focus && focus !== root && !focus.matches(".kit-say input, .kit-range .kit-box")) {
    const outlined = focus.closest(".kit-choice, .kit-photo") ?? focus;
    const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(outlined);
    const wide = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
    check(
      wide && contrast(outlineColor, groundOf(outlined.parentElement)) >= 3,
      focus,
      "no visible focus",
    );
  }
  return [...troubles];
};
