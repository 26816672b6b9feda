"use strict";
// Search in the texts of all pages, and the list of pages on narrow screens.
const root = document.body.dataset.root;
const input = document.getElementById("search");
const list = document.getElementById("found");
const menu = document.getElementById("menu");

function score(entry, words) {
  const title = entry.title.toLowerCase();
  const text = entry.text.toLowerCase();
  let total = 0;
  for (const word of words) {
    if (title.includes(word)) total += 10;
    else if (text.includes(word)) total += 1;
    else return 0;
  }
  return total;
}

function excerpt(text, word) {
  const start = Math.max(0, text.toLowerCase().indexOf(word) - 40);
  return (start ? "... " : "") + text.slice(start, start + 120);
}

function show(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  list.replaceChildren();
  list.hidden = words.length === 0;
  if (list.hidden) return;
  const found = SEARCH_INDEX.map((entry) => [score(entry, words), entry])
    .filter(([points]) => points > 0)
    .sort((a, b) => b[0] - a[0])
    .slice(0, 12);
  for (const [, entry] of found) {
    const link = document.createElement("a");
    link.href = `${root}/${entry.url}`;
    const title = document.createElement("strong");
    title.textContent = entry.title;
    const text = document.createElement("small");
    text.textContent = excerpt(entry.text, words[0]);
    link.append(title, text);
    const item = document.createElement("li");
    item.append(link);
    list.append(item);
  }
  if (found.length === 0) {
    const nothing = document.createElement("p");
    nothing.textContent = "Nothing was found.";
    list.append(nothing);
  }
}

input.addEventListener("input", () => show(input.value));
input.addEventListener("keydown", (event) => {
  const first = list.querySelector("a");
  if (event.key === "Enter" && first) first.click();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== input) {
    event.preventDefault();
    input.focus();
  } else if (event.key === "Escape") {
    list.hidden = true;
  }
});
document.addEventListener("click", (event) => {
  if (!event.target.closest(".search") || event.target.closest("#found a")) list.hidden = true;
});
menu.addEventListener("click", () => {
  const isOpen = document.getElementById("pages").classList.toggle("open");
  menu.setAttribute("aria-expanded", String(isOpen));
});
