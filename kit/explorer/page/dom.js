// @ts-check
// Elements of the page. Whatever comes from a user gets there as text alone.

/**
 * @param {string} tag
 * @param {Record<string, any>} attributes `text` is the content; true sets an attribute, false and null leave it out
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {any}
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(.../** @type {Node[]} */ (children.filter(Boolean)));
  return node;
}

/** Writing the same text again would have the page laid out anew. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A button that does something when it is pressed. */
export function button(text, title, pressed, attributes = {}) {
  const node = element("button", { type: "button", text, title, ...attributes });
  node.addEventListener("click", pressed);
  return node;
}
