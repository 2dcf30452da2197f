// A page with nothing but an explorer: its state is in the address.
import { render } from "./explorer.js";
import { living } from "./live.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
(dark.onchange = () =>
  document.documentElement.setAttribute("theme", dark.matches ? "dark" : "light"))();
const model = await living(
  [...document.querySelectorAll("script[type='text/plain']")].map(({ textContent }) => textContent),
  true,
);
render({ model, el: document.querySelector("main") });
window.addEventListener("hashchange", () => model.send({ kind: "hello" }));
