// A page with nothing but an explorer: its state is in the address.
import { render } from "./explorer.js";
import { living } from "./live.js";
import { panelOf, unfolded } from "./table.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
(dark.onchange = () =>
  document.documentElement.setAttribute("theme", dark.matches ? "dark" : "light"))();
const [first, ...rest] = [...document.querySelectorAll("script[type='text/plain']")];
const panel = await panelOf(first.textContent);
const texts = rest.map(({ textContent }) => textContent);
const model = await (panel.live ? living(panel, texts) : unfolded(panel, texts, true));
render({ model, el: document.querySelector("main") });
window.addEventListener("hashchange", () => model.send({ kind: "hello" }));
