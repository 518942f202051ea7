"use strict";
// What all pages are built of. Every text is set as text, never as HTML: sentences and names are anybody's.

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// A table of texts; a row is a list of them, or {row, became} with a class. Without rows, what is said instead.
function table(head, rows, nothing) {
  if (!rows.length) return element("p", { class: "about" }, nothing || "nothing");
  const cells = (name, row) => row.map((text) => element(name, text.length < 15 ? { class: "short" } : {}, text));
  const lines = rows.map((row) => element("tr", row.became ? { class: row.became } : {}, ...cells("td", row.row || row)));
  const titles = head.length ? [element("thead", {}, element("tr", {}, ...cells("th", head)))] : [];
  return element("div", { class: "table" }, element("table", {}, ...titles, element("tbody", {}, ...lines)));
}

function part(title, ...children) {
  return element("section", {}, element("h2", {}, title), ...children);
}

// Names of curves in their colours, and what else is to be said of a chart.
function fillLegend(legend, chart, ...more) {
  const names = chart.curves.map((curve, k) => {
    const name = element("span", {}, curve.name);
    name.style.color = CURVES[k % CURVES.length];
    return name;
  });
  legend.replaceChildren(...names, ...more);
}

const dataElement = document.getElementById("data");
const pageData = dataElement && JSON.parse(dataElement.textContent); // none in a page that is served
const main = document.querySelector("main");
