// A page with nothing but an explorer: its state is in the address.
import { render } from "./explorer.js";
import { living } from "./live.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
(dark.onchange = () =>
  document.documentElement.setAttribute("theme", dark.matches ? "dark" : "light"))();
const blocks = [...document.querySelectorAll("script[type='text/plain']")];
// Pages of one folder may have parts in common, as scripts beside them.
const parts = blocks.map(
  ({ textContent, dataset }) => window.kitParts?.[dataset.part] ?? textContent,
);
const main = document.querySelector("main");
const opening = main.querySelector("output");
opening.textContent = "Opening the model …"; // no longer what is read where no script runs
try {
  const model = await living(parts, true);
  render({ model, el: main });
  window.addEventListener("hashchange", () => {
    model.greeted = false;
    model.send({ kind: "hello" });
  });
  opening.remove();
} catch (trouble) {
  opening.textContent = `The model cannot run here: ${trouble.message}. Save this page and open the file, or take another browser.`;
}
