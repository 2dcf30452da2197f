// Answers of readers, compared with the replies that the lesson's own check gave to each of them.

const letters = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

const asNumber = (text) => {
  const number = Number(text.replace(",", ".").replace(/^["'“‘]|["'”’]$/g, ""));
  return text === "" || Number.isNaN(number) ? null : number;
};

const reply = (answer, { numbers, names, none, other }) => {
  if (answer === "") return none;
  const number = asNumber(answer);
  const [key, known] = number === null ? [letters(answer), names] : [String(number), numbers];
  const shown = answer.length > 40 ? `${answer.slice(0, 40)}…` : answer;
  return Object.hasOwn(known, key) ? known[key] : other.replace("'?'", () => `'${shown}'`);
};

for (const form of document.querySelectorAll("form.check")) {
  const replies = JSON.parse(form.dataset.replies);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    form.querySelector("output").textContent = reply(form.elements.answer.value.trim(), replies);
  });
}
