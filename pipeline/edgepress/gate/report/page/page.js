"use strict";
// The page is whole without this: it sorts tables by a column, and shows the budgets of one status.
function value(cell) {
  const words = cell.textContent.trim().replaceAll("−", "-");
  const match = /^([+-]?[0-9.]+(?:e[+-]?[0-9]+)?) ?(ms|us|s|kB|MB|GB|B|k|M|G|%|x|dB)?/.exec(words);
  const unit = { ms: 1e-3, us: 1e-6, kB: 1e3, MB: 1e6, GB: 1e9, k: 1e3, M: 1e6, G: 1e9 };
  return match ? parseFloat(match[1]) * (unit[match[2]] || 1) : words;
}
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => {
        const x = value(a.cells[column]), y = value(b.cells[column]);
        if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
        return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1);
      });
      table.tBodies[0].append(...rows);
    });
  });
}
const only = document.getElementById("only");
if (only) {
  only.closest("p").hidden = false;
  only.addEventListener("change", () => {
    for (const row of document.querySelectorAll("tr[data-status]")) {
      row.hidden = Boolean(only.value) && row.dataset.status !== only.value;
    }
  });
}
