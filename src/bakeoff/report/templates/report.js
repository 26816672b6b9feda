// Draws the figures in the reader's colour scheme and sorts tables. Nothing is loaded.
(() => {
  "use strict";
  const PRINT_WIDTH = 680;
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
})();
