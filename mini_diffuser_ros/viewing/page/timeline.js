"use strict";
// What the time of a run went into: a lane for each kind of work, with the seconds that it took in all.

const LANE = 20; // units of the drawing, of which it is 900 wide
const LANES_LEFT = 110;

// Draws {seconds, lanes: [[kind, seconds]], spans: [[kind, keyframe, start, end]]} into an <svg> until `until` seconds.
// pick(seconds, keyframe) is called where it is clicked. Returns a function that moves the cursor to a time.
function drawTimeline(target, { lanes, spans }, until, pick) {
  const [width, right, top] = [900, 12, 16];
  const height = top + lanes.length * LANE + 20;
  const x = (time) => LANES_LEFT + (Math.min(time, until) / Math.max(until, 1e-9)) * (width - LANES_LEFT - right);
  const floor = top + lanes.length * LANE;
  target.replaceChildren();
  target.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const step = [0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 3600].find((each) => until / each <= 12) || 36000;
  for (let time = 0; time <= until; time += step) {
    target.append(svg("line", { x1: x(time), x2: x(time), y1: top, y2: floor, class: "grid" }));
    target.append(svg("text", { x: x(time), y: height - 4, class: "tick middle" }, `${time} s`));
  }
  lanes.forEach(([kind, seconds], k) => {
    const y = top + k * LANE;
    target.append(svg("text", { x: LANES_LEFT - 8, y: y + 14, class: "tick end" }, `${kind} ${seconds.toFixed(1)} s`));
    target.append(svg("line", { x1: LANES_LEFT, x2: width - right, y1: y + LANE, y2: y + LANE, class: "grid" }));
  });
  let numbered = 0;
  for (const [kind, keyframe, start, end] of spans) {
    const lane = lanes.findIndex(([name]) => name === kind);
    if (lane < 0 || end <= start) continue;
    if (keyframe !== numbered) {
      numbered = keyframe;
      target.append(svg("line", { x1: x(start), x2: x(start), y1: 4, y2: floor, class: "step" }));
      target.append(svg("text", { x: x(start) + 3, y: 12, class: "tick" }, String(keyframe)));
    }
    const size = { x: x(start), y: top + lane * LANE + 3, width: Math.max(1.5, x(end) - x(start)), height: LANE - 6 };
    const bar = svg("rect", { ...size, class: `bar ${kind}` });
    bar.append(svg("title", {}, `keyframe ${keyframe}: ${kind} ${(end - start).toFixed(2)} s, from ${start.toFixed(2)} s`));
    bar.addEventListener("click", () => pick(start, keyframe));
    target.append(bar);
  }
  const cursor = svg("line", { y1: 2, y2: floor, class: "cursor", visibility: "hidden" });
  target.append(cursor);
  return (time) => {
    cursor.removeAttribute("visibility");
    cursor.setAttribute("x1", x(time));
    cursor.setAttribute("x2", x(time));
  };
}
