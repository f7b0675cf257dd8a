"use strict";
// Sorting and filtering of tables that are complete without it.
document.documentElement.classList.add("scripted");
const key = (row, at) => row.cells[at].dataset.sort ?? row.cells[at].textContent;
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead th").forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const numeric = head.classList.contains("num");
      const rows = [...table.tBodies[0].rows].map((row) => [key(row, at), row]);
      rows.sort(([a], [b]) => (numeric ? (parseFloat(a) || 0) - (parseFloat(b) || 0) : a < b ? -1 : a > b ? 1 : 0));
      if (down) rows.reverse();
      table.tBodies[0].append(...rows.map(([, row]) => row));
    });
  });
}
const words = document.getElementById("filter");
const verdict = document.getElementById("verdict");
const shown = document.getElementById("shown");
const rows = [...document.querySelectorAll("#findings tbody tr")];
const filter = () => {
  const wanted = words.value.toLowerCase();
  let count = 0;
  for (const row of rows) {
    const fits = (!verdict.value || row.dataset.verdict === verdict.value) && row.textContent.toLowerCase().includes(wanted);
    row.hidden = !fits;
    count += fits;
  }
  shown.value = `${count.toLocaleString()} of ${rows.length.toLocaleString()} rows`;
};
if (words) {
  words.addEventListener("input", filter);
  verdict.addEventListener("change", filter);
  filter();
}
