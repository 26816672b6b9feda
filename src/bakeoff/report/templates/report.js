// Draws the figures in the reader's colour scheme, sorts and copies tables. Nothing is loaded.
(() => {
  "use strict";
  const PRINT_WIDTH = 900; // which the style sheet scales to that of an A4 page
  const isTouch = matchMedia("(hover: none)").matches;
  const CONFIG = {
    displaylogo: false,
    displayModeBar: isTouch ? false : "hover", // on touch screens it would never go away
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

  const isFolded = (element) => element.closest("details:not([open])") !== null;
  const drawIn = (part, dark, width) => {
    for (const plot of part.querySelectorAll(".plot")) {
      if (isFolded(plot)) continue; // it has no width yet
      const figure = read(plot.dataset.figure);
      const { data, layout } = dark ? inDark(figure, "") : figure;
      const changes = { ...(width && { width }), ...(isTouch && { dragmode: false }) };
      Plotly.react(plot, data, { ...layout, ...changes }, CONFIG);
    }
  };
  const drawAll = (dark, width) => drawIn(document, dark, width);

  const closed = [];
  let isPrinting = false;
  addEventListener("beforeprint", () => {
    isPrinting = true;
    closed.push(...document.querySelectorAll("details:not([open])"));
    for (const details of closed) details.open = true;
  });
  addEventListener("afterprint", () => {
    isPrinting = false;
    for (const details of closed.splice(0)) details.open = false;
  });

  if (document.querySelector(".plot")) {
    drawAll(prefersDark.matches);
    const onToggle = ({ target }) => {
      if (target.open && !isPrinting) drawIn(target, prefersDark.matches);
    };
    addEventListener("toggle", onToggle, true); // it does not bubble
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

  const toClipboard = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const area = document.body.appendChild(document.createElement("textarea")); // plain http
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  };
  const addCopyButton = (place, label, what, read) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "copy", textContent: label });
    button.setAttribute("aria-label", `Copy ${what}`);
    button.addEventListener("click", async () => {
      await toClipboard(read());
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = label), 1500);
    });
    place.append(button);
  };
  const asTabs = (table) =>
    [...table.rows].map((row) => [...row.cells].map((c) => c.innerText.trim()).join("\t")).join("\n");
  for (const table of document.querySelectorAll("table:has(caption)")) {
    addCopyButton(table.caption, "Copy", "the table", () => asTabs(table));
  }
  for (const heading of document.querySelectorAll("h4 + pre")) {
    const read = () => heading.textContent;
    addCopyButton(heading.previousElementSibling, "Copy", "the code", read);
  }
  // what is copied most needs one click, without unfolding it
  const ONE_CLICK = { code: "PyTorch code", command: "command" };
  for (const card of document.querySelectorAll(".use:has(pre)")) {
    const bar = document.createElement("p");
    bar.className = "take";
    card.querySelector("details").before(bar);
    for (const [kind, usual] of Object.entries(ONE_CLICK)) {
      const heading = card.querySelector(`h4[data-copy="${kind}"]`);
      if (!heading) continue;
      const arm = card.querySelector("h3, h4").textContent;
      const read = () => heading.nextElementSibling.textContent;
      const what = heading.dataset.label ?? usual;
      addCopyButton(bar, `Copy ${what}`, `the ${what} of ${arm}`, read);
    }
  }
})();
