// The switch between simulated and real data, which pages remember, and the filters of the ledger.
"use strict";

const kept = {
  read: () => { try { return localStorage.getItem("kind"); } catch { return null; } },
  write: (kind) => { try { localStorage.setItem("kind", kind); } catch { /* a browser may forbid it; then each page starts anew */ } },
};

function switchKind() {
  const inputs = [...document.querySelectorAll(".switch input")];
  if (!inputs.length) return;
  const show = (kind) => {
    document.documentElement.dataset.kind = kind;
    for (const input of inputs) input.checked = input.value === kind;
  };
  const kinds = inputs.map((input) => input.value);
  const asked = [location.hash.slice(1), kept.read()].find((kind) => kinds.includes(kind));
  document.querySelector(".switch").hidden = false;
  show(asked ?? kinds[0]);
  for (const input of inputs) {
    input.addEventListener("change", () => { show(input.value); kept.write(input.value); });
  }
}

function filterLedger() {
  const form = document.querySelector(".filters");
  if (!form) return;
  const rows = [...document.querySelectorAll(".ledger tbody tr")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const choices = [...form.querySelectorAll("select")];
  const asked = new URLSearchParams(location.hash.slice(1));
  for (const choice of choices) choice.value = asked.get(choice.name) ?? "";
  const apply = () => {
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, i) => {
      const fits = choices.every((choice) => !choice.value || row.dataset[choice.name] === choice.value)
        && words.every((word) => texts[i].includes(word));
      row.hidden = !fits;
      shown += fits;
    });
    form.querySelector(".count").textContent = `${shown} of ${rows.length} ${form.dataset.of}`;
  };
  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
}

switchKind();
filterLedger();
