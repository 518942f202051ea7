"use strict";
// Episodes to step through.

let shown = { episode: 0, keyframe: 0 };
let moveCursor = () => {};

const list = element("nav", { "aria-label": "episodes" });
const title = element("h1");
const sentences = element("ul", { class: "sentences" });
const steps = element("div", { class: "steps" });
const about = element("p", { class: "about" });
const canvas = element("canvas", { class: "scene", "aria-label": "cloud with grippers" });
const pictures = element("div", { class: "pictures" });
const chart = svg("svg", { class: "chart", role: "img", "aria-label": "joints and gripper over time" });
const legend = element("p", { class: "legend" });
main.append(
  list,
  element("section", {}, title, sentences, steps, element("div", { class: "row" }, canvas, pictures), about, chart, legend),
);
const view = new SceneView(canvas);

pageData.episodes.forEach((episode, index) => {
  const button = element("button", { type: "button" }, element("b", {}, episode.source), element("span", {}, episode.label));
  if (episode.fault) button.classList.add("fault");
  button.addEventListener("click", () => openEpisode(index));
  list.append(button);
});

function openEpisode(index, keyframe = 0) {
  shown = { episode: index, keyframe };
  const episode = pageData.episodes[index];
  [...list.children].forEach((button, k) => button.setAttribute("aria-current", k === index));
  list.children[index].scrollIntoView({ block: "nearest" });
  title.textContent = episode.source;
  sentences.replaceChildren(...episode.sentences.map((sentence) => element("li", {}, sentence)));
  steps.replaceChildren(
    ...episode.keyframes.map((_, k) => {
      const button = element("button", { type: "button" }, String(k));
      button.addEventListener("click", () => openKeyframe(k));
      return button;
    }),
  );
  document.querySelectorAll(".row, .chart, .legend").forEach((part) => (part.hidden = Boolean(episode.fault)));
  chart.style.display = episode.fault ? "none" : "";
  about.textContent = episode.fault || "";
  if (episode.fault) return;
  moveCursor = drawChart(chart, episode.chart, openKeyframe);
  fillLegend(
    legend,
    episode.chart,
    element("i", {}, `${episode.chart.unit}; band: gripper, light open, dark closed; marks: keyframes`),
    element("b", {}, episode.chart.left_out),
  );
  openKeyframe(keyframe);
}

function openKeyframe(index) {
  const keyframes = pageData.episodes[shown.episode].keyframes;
  if (!keyframes || index < 0 || index >= keyframes.length) return;
  shown.keyframe = index;
  const keyframe = keyframes[index];
  [...steps.children].forEach((button, k) => button.setAttribute("aria-current", k === index));
  about.textContent = keyframe.about;
  pictures.replaceChildren(
    ...keyframe.views.map((seen) =>
      element(
        "figure",
        {},
        element("img", { src: seen.color, alt: `${seen.name}, colour` }),
        element("img", { src: seen.depth, alt: `${seen.name}, depth` }),
        element("figcaption", {}, seen.about),
      ),
    ),
    ...(keyframe.views.length ? [] : [element("p", {}, pageData.episodes[shown.episode].no_views)]),
  );
  view.show(keyframe.scene);
  moveCursor(index);
  history.replaceState(null, "", `#${encodeURIComponent(pageData.episodes[shown.episode].source)}@${index}`);
}

// The episode and keyframe that the address names, so that somebody can be sent to what is to be seen.
function openAddress() {
  const [name, keyframe] = location.hash.slice(1).split("@");
  const index = pageData.episodes.findIndex((episode) => encodeURIComponent(episode.source) === name);
  const count = index < 0 ? 0 : pageData.episodes[index].keyframes.length;
  openEpisode(Math.max(0, index), Number(keyframe) >= 0 && Number(keyframe) < count ? Number(keyframe) : 0);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const [turn, change] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] || [];
  if (turn) openKeyframe(shown.keyframe + turn);
  const next = shown.episode + change;
  if (change && next >= 0 && next < pageData.episodes.length) openEpisode(next);
  if (turn !== undefined) event.preventDefault();
});

openAddress();
