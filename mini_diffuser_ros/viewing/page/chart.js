"use strict";
// Curves over time with a band that tells whether the gripper is open, marks to step to, and a cursor.

const CURVES = ["#3b6fd4", "#d4663b", "#2f9e62", "#a24bc4", "#c49a1a", "#c43b6a", "#3aa3b5", "#6b6b6b", "#8a5a2b"];

function svg(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// Draws {times, in_seconds, marks: [[time, text]], curves: [{name, values}], open: [bool], unit} into an <svg>; times are
// numbers of keyframes where they are not in seconds, values null where there is none, `open` may be empty. There may be
// besides: `limit`, a value with a line of its own; `range`, two values that have a place at least; `until`, a time beyond
// the last; `ends`, two texts for the ends of the axis. Returns a function that moves the cursor to a mark. step(k) is
// called when mark k is clicked.
function drawChart(target, { times, in_seconds: inSeconds, marks, curves, open, unit, limit, range, until, ends }, step) {
  const [width, height, left, right, top, bottom] = [900, 230, 46, 12, 10, 46];
  target.replaceChildren();
  target.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const last = Math.max(until === undefined ? times[times.length - 1] : until, 1e-9);
  const x = (time) => left + (time / last) * (width - left - right);
  const values = curves.flatMap((curve) => curve.values).filter((value) => value !== null);
  if (limit !== undefined) values.push(0, limit);
  values.push(...(range || []));
  let [low, high] = values.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
  if (!values.length) [low, high] = [0, 1];
  if (high - low < 1e-9) [low, high] = [low - 0.5, high + 0.5];
  const y = (value) => top + ((high - value) / (high - low)) * (height - top - bottom);
  const digits = Math.min(9, Math.max(2, 1 - Math.floor(Math.log10(high - low))));
  for (let i = 0; i <= 4; i++) {
    const value = low + ((high - low) * i) / 4;
    target.append(svg("line", { x1: left, x2: width - right, y1: y(value), y2: y(value), class: "grid" }));
    target.append(svg("text", { x: left - 6, y: y(value) + 4, class: "tick end" }, value.toFixed(digits)));
  }
  target.append(svg("text", { x: left + 4, y: top + 10, class: "tick" }, unit));
  const texts = ends || (inSeconds ? ["0 s", `${last.toFixed(1)} s`] : ["keyframe 0", `keyframe ${last.toFixed(0)}`]);
  target.append(svg("text", { x: left, y: height - 4, class: "tick" }, texts[0]));
  target.append(svg("text", { x: width - right, y: height - 4, class: "tick end" }, texts[1]));
  if (limit !== undefined) target.append(svg("line", { x1: left, x2: width - right, y1: y(limit), y2: y(limit), class: "limit" }));
  curves.forEach((curve, index) => {
    const color = CURVES[index % CURVES.length];
    const shown = curve.values.map((value, k) => (value === null ? "" : `${x(times[k])},${y(value)}`)).filter(Boolean);
    const line = svg("polyline", { points: shown.join(" "), class: "curve", stroke: color });
    line.append(svg("title", {}, `${curve.name}, ${unit}`));
    target.append(line);
  });
  const band = height - bottom + 12;
  open.forEach((state, k) => {
    const until = k + 1 < times.length ? times[k + 1] : last;
    const size = { x: x(times[k]), y: band, width: Math.max(2, x(until) - x(times[k])), height: 8 };
    const piece = svg("rect", { ...size, class: state ? "open" : "closed" });
    piece.append(svg("title", {}, state ? "gripper open" : "gripper closed"));
    target.append(piece);
  });
  const cursor = svg("line", { y1: top, y2: band + 8, class: "cursor", visibility: "hidden" });
  target.append(cursor);
  marks.forEach(([time, text], k) => {
    const mark = svg("circle", { cx: x(time), cy: band + 4, r: 6, class: "mark", tabindex: 0, role: "button" });
    mark.append(svg("title", {}, text));
    mark.addEventListener("click", () => step(k));
    target.append(mark);
  });
  return (k) => {
    if (!marks[k]) return;
    cursor.removeAttribute("visibility");
    cursor.setAttribute("x1", x(marks[k][0]));
    cursor.setAttribute("x2", x(marks[k][0]));
  };
}
