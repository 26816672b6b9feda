// Draws the figures in the reader's colour scheme, sorts and copies tables. Nothing is loaded.
(() => {
  "use strict";
  const PRINT_WIDTH = 900; // which the style sheet scales to that of an A4 page
  const CONFIG = {
    displaylogo: false,
    responsive: true,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const darkTwins = read("dark-colors");
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");

  const inDark = (value, key) => {
    if (Array.isArray(value)) return value.map((item) => inDark(item, key));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, inDark(v, k)]));
    }
    return /color$/.test(key) && Object.hasOwn(darkTwins, value) ? darkTwins[value] : value;
  };

  const drawAll = (dark, width) => {
    for (const plot of document.querySelectorAll(".plot")) {
      const figure = read(plot.dataset.figure);
      const { data, layout } = dark ? inDark(figure, "") : figure;
      Plotly.react(plot, data, width ? { ...layout, width } : layout, CONFIG);
    }
  };
  if (document.querySelector(".plot")) {
    drawAll(prefersDark.matches);
    prefersDark.addEventListener("change", () => drawAll(prefersDark.matches));
    addEventListener("beforeprint", () => drawAll(false, PRINT_WIDTH));
    addEventListener("afterprint", () => drawAll(prefersDark.matches));
  }

  const closed = [];
  addEventListener("beforeprint", () => {
    closed.push(...document.querySelectorAll("details:not([open])"));
    for (const details of closed) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of closed.splice(0)) details.open = false;
  });

  const sortKey = (cell) => {
    const number = Number.parseFloat(cell.dataset.value);
    return Number.isNaN(number) ? cell.textContent : number;
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return a.localeCompare(b);
  };
  const sortBy = (button) => {
    const heading = button.closest("th");
    const body = button.closest("table").tBodies[0];
    const order = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of heading.parentNode.cells) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", order > 0 ? "ascending" : "descending");
    const keyOf = (row) => sortKey(row.cells[heading.cellIndex]);
    const rows = [...body.rows].sort((a, b) => order * compare(keyOf(a), keyOf(b)));
    body.append(...rows);
  };
  for (const button of document.querySelectorAll("th button")) {
    button.addEventListener("click", () => sortBy(button));
  }

  const toClipboard = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const area = document.body.appendChild(document.createElement("textarea")); // plain http
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  };
  const addCopyButton = (place, what, read) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "copy", textContent: "Copy" });
    button.setAttribute("aria-label", `Copy ${what}`);
    button.addEventListener("click", async () => {
      await toClipboard(read());
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
    place.append(button);
  };
  const asTabs = (table) =>
    [...table.rows].map((row) => [...row.cells].map((c) => c.innerText.trim()).join("\t")).join("\n");
  for (const table of document.querySelectorAll("table:has(caption)")) {
    addCopyButton(table.caption, "the table", () => asTabs(table));
  }
  for (const code of document.querySelectorAll("h4 + pre")) {
    addCopyButton(code.previousElementSibling, "the code", () => code.textContent);
  }
})();
