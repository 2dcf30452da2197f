// Elements of the page. Whatever comes from a user gets there as text alone.

/** Of the attributes `text` is the content; true sets one, false and null leave it out. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter(Boolean));
  return node;
}

export function div(name, ...children) {
  return element("div", { class: name }, ...children);
}

/** Elements that belong together, under a name for those who hear it. */
export function grouped(name, label, ...children) {
  return element("div", { class: name, role: "group", "aria-label": label }, ...children);
}

/** Writing the same text again would have the page laid out again. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Write a text that may be cut off, which a pointer shows whole. */
export function writeLong(node, text) {
  write(node, text);
  if (node.title !== text) node.title = text;
}

export function button(text, title, pressed, attributes = {}) {
  const node = element("button", { type: "button", text, title, ...attributes });
  node.addEventListener("click", (event) => event.detail > 1 || pressed(event)); // a double click is one press
  return node;
}

/** What a prediction is made from, to be compared: the class of a map is a way of looking. */
export function stateOf({ where: _where, ...settings }) {
  return JSON.stringify(settings);
}
