"use strict";
// A run: what came of the sentence, film and timeline with one cursor, its decisions to step through, and the rest.

const CANDIDATES = ["", "share", "sure", "place (m)", "gripper", "end", "spread", "what became of it"];
const run = pageData;
main.className = "report";

const verdict = element("p", { class: `verdict ${run.succeeded ? "good" : "bad"}` }, run.verdict);
const facts = element("dl", { class: "facts" }, ...run.facts.map(([name, said]) => element("div", {}, element("dt", {}, name), element("dd", {}, said))));
main.append(element("header", {}, element("h1", {}, run.sentence), verdict, facts));

// The film, whose frames know when they were taken.
let film = null;
if (run.film.mp4) {
  film = element("video", { controls: "", preload: "auto", playsinline: "" });
  film.muted = true;
  film.src = URL.createObjectURL(new Blob([bytesOf(run.film.mp4)], { type: "video/mp4" }));
}
main.append(part("Film", film || element("p", { class: "about" }, run.film.missing)));

function secondsOfFilm() {
  const { times } = run.film;
  if (!times.length || !film.duration) return film.currentTime;
  return times[Math.min(times.length - 1, Math.floor((film.currentTime / film.duration) * times.length))];
}

function showInFilm(seconds) {
  if (!film || !film.duration) return;
  const frame = run.film.times.findIndex((time) => time >= seconds);
  const share = run.film.times.length ? (frame < 0 ? 1 : frame / run.film.times.length) : seconds / film.duration;
  film.currentTime = Math.min(film.duration, share * film.duration + 0.01);
}

const timeline = svg("svg", { class: "timeline", role: "img", "aria-label": "what the time went into" });
let moveTime = () => {};
if (run.timeline.spans.length) {
  moveTime = drawTimeline(timeline, run.timeline, run.timeline.seconds, (seconds, keyframe) => {
    showInFilm(seconds);
    moveTime(seconds);
    const decided = run.decisions.findIndex((decision) => decision.label === String(keyframe));
    if (decided >= 0) openDecision(decided, false);
  });
  moveTime(0);
}
main.append(part("Time", run.timeline.spans.length ? timeline : element("p", { class: "about" }, "The sentence was never obeyed.")));
if (film) film.addEventListener("timeupdate", () => moveTime(secondsOfFilm()));

// Decisions.
const steps = element("div", { class: "steps" });
const about = element("p", { class: "about" });
const canvas = element("canvas", { class: "scene", "aria-label": "cloud with candidates" });
const unseen = element("p", { class: "about" }, "The cloud of this decision was not seen here.");
const candidates = element("div");
const view = new SceneView(canvas);
let moveCursor = () => {};
let shown = 0;
steps.append(
  ...run.decisions.map((decision, k) => {
    const button = element("button", { type: "button", title: decision.title }, decision.label);
    button.addEventListener("click", () => openDecision(k));
    return button;
  }),
);
main.append(
  run.decisions.length
    ? part("Decisions", steps, about, element("div", { class: "row" }, canvas, unseen, candidates))
    : part("Decisions", element("p", { class: "about" }, "The policy decided nothing.")),
);

function openDecision(index, withFilm = true) {
  if (index < 0 || index >= run.decisions.length) return;
  shown = index;
  const decision = run.decisions[index];
  [...steps.children].forEach((button, k) => button.setAttribute("aria-current", k === index));
  about.textContent = `${decision.title}: ${decision.about}`;
  canvas.hidden = !decision.scene;
  unseen.hidden = Boolean(decision.scene);
  candidates.replaceChildren(table(CANDIDATES, decision.candidates, "The policy had no keyframe for this cloud."));
  if (decision.scene) view.show(decision.scene);
  moveCursor(index);
  if (!withFilm) return;
  moveTime(decision.seconds);
  showInFilm(decision.seconds);
}

// Speeds, diagnostics, versions.
const speeds = run.speeds;
const speedPart = part("Joint speeds against limits");
if (speeds.chart) {
  const chart = svg("svg", { class: "chart", role: "img", "aria-label": "joint speeds in percent of their limits" });
  const legend = element("p", { class: "legend" });
  moveCursor = drawChart(chart, speeds.chart, openDecision);
  fillLegend(legend, speeds.chart, element("i", {}, `${speeds.chart.unit} where the joint was; marks: decisions`));
  speedPart.append(chart, legend);
}
if (speeds.over) speedPart.append(element("p", { class: "verdict bad" }, speeds.over));
speedPart.append(table(["joint", "fastest", "of its limit"], speeds.peaks, "No joint states were seen."));
main.append(
  speedPart,
  part("Diagnostics", table(["when", "part", "level", "said"], run.diagnostics.map((row) => ({ row, became: row[2] === "OK" ? "" : "troubled" })), "Nobody said anything.")),
  part("Software", table([], run.versions, "not said")),
);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target === film) return;
  const turn = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (turn) openDecision(shown + turn);
  if (turn) event.preventDefault();
});

openDecision(0, false);
