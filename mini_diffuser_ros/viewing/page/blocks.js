"use strict";
// A page of blocks, one below the other: texts, tables, charts, timelines, bars with intervals, pictures, episodes.

const report = pageData;
main.className = "report";
main.append(element("header", {}, element("h1", {}, report.title), element("p", { class: "verdict" }, report.verdict)));

const DRAW = { text: drawText, table: drawTable, chart: drawCurves, timeline: drawTimes, bars: drawBars, links: drawLinks, picture: drawPicture, episodes: drawEpisodes };
report.blocks.forEach((block) => DRAW[block.kind](block));

function drawText(block) {
  if (block.text) main.append(element("section", {}, element("p", { class: "about" }, block.text)));
}

function drawTable(block) {
  const rest = block.more ? [element("p", { class: "about" }, block.more)] : [];
  main.append(part(block.title, table(block.head, block.rows, block.nothing), ...rest));
}

function drawCurves({ title, chart }) {
  const target = svg("svg", { class: "chart", role: "img", "aria-label": title });
  const legend = element("p", { class: "legend" });
  drawChart(target, { marks: [], open: [], ...chart }, () => {});
  fillLegend(legend, chart);
  main.append(part(title, target, legend));
}

function drawTimes({ title, timeline, until }) {
  const target = svg("svg", { class: "timeline", role: "img", "aria-label": title });
  drawTimeline(target, timeline, until, () => {});
  main.append(element("section", { class: "close" }, element("h3", {}, title), target));
}

// A row for each task, in it a line for each evaluation: bar, interval, and the figures in words.
function drawBars({ title, names, rows }) {
  const [left, right, width, step] = [190, 650, 900, 18];
  const target = svg("svg", { class: "bars", role: "img", "aria-label": title });
  const height = rows.length * (names.length * step + 8) + 24;
  const x = (share) => left + share * (right - left);
  target.setAttribute("viewBox", `0 0 ${width} ${height}`);
  for (let share = 0; share <= 1; share += 0.25) {
    target.append(svg("line", { x1: x(share), x2: x(share), y1: 0, y2: height - 20, class: "grid" }));
    target.append(svg("text", { x: x(share), y: height - 6, class: "tick middle" }, `${100 * share} %`));
  }
  let y = 4;
  for (const { label, bars } of rows) {
    target.append(svg("text", { x: left - 8, y: y + 13, class: "tick end" }, label));
    bars.forEach((bar, k) => {
      const color = CURVES[k % CURVES.length];
      if (bar) {
        const piece = svg("rect", { x: x(0), y: y + 2, width: x(bar.rate) - x(0), height: step - 4, fill: color, opacity: 0.45 });
        piece.append(svg("title", {}, `${names[k]}: ${bar.text}`));
        const middle = y + step / 2;
        const ends = [bar.low, bar.high].map((share) => svg("line", { x1: x(share), x2: x(share), y1: middle - 4, y2: middle + 4, stroke: color }));
        const line = svg("line", { x1: x(bar.low), x2: x(bar.high), y1: middle, y2: middle, stroke: color, "stroke-width": 1.6 });
        target.append(piece, line, ...ends);
      }
      target.append(svg("text", { x: right + 10, y: y + 13, class: "tick" }, bar ? bar.text : "not measured"));
      y += step;
    });
    y += 8;
  }
  const legend = element("p", { class: "legend" });
  fillLegend(legend, { curves: names.map((name) => ({ name })) });
  main.append(part(title, target, legend));
}

function drawLinks({ title, links }) {
  main.append(part(title, element("ul", {}, ...links.map(([text, href]) => element("li", {}, element("a", { href }, text))))));
}

function drawPicture({ title, source }) {
  main.append(element("section", { class: "close" }, element("h3", {}, title), element("img", { src: source, alt: title, class: "picture" })));
}

// Episodes to choose among, each with its decisions, and with what was seen where that was kept.
function drawEpisodes({ title, head, episodes, more }) {
  const list = element("nav", { "aria-label": title });
  const sentence = element("h3");
  const about = element("p", { class: "about" });
  const steps = element("div", { class: "steps" });
  const canvas = element("canvas", { class: "scene", "aria-label": "cloud with candidates" });
  const seen = element("p", { class: "about" });
  const rows = element("div");
  const view = new SceneView(canvas);
  const show = element("div", {}, sentence, about, steps, canvas, seen, rows);
  main.append(part(title, element("div", { class: "choice" }, list, show), element("p", { class: "about" }, more)));
  list.append(
    ...episodes.map((episode, k) => {
      const button = element("button", { type: "button" }, element("b", {}, episode.label), element("span", {}, episode.title));
      button.addEventListener("click", () => open(k));
      return button;
    }),
  );

  function open(index) {
    const { title: told, about: said, scenes, rows: decisions } = episodes[index];
    [...list.children].forEach((button, k) => button.setAttribute("aria-current", k === index));
    sentence.textContent = told;
    about.textContent = said;
    rows.replaceChildren(table(head, decisions, "Nothing was decided."));
    canvas.hidden = !scenes.length;
    seen.textContent = scenes.length ? "" : "What was seen of this episode was not kept.";
    const buttons = scenes.map((scene, k) => element("button", { type: "button" }, scene.label));
    const look = (k) => {
      buttons.forEach((button, at) => button.setAttribute("aria-current", at === k));
      seen.textContent = scenes[k].about;
      view.show(scenes[k].scene);
    };
    buttons.forEach((button, k) => button.addEventListener("click", () => look(k)));
    steps.replaceChildren(...buttons);
    if (scenes.length) look(scenes.length - 1); // where it went wrong is mostly the end
  }
  open(0);
}
