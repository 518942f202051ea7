"use strict";
// The live page: what the node sends is shown, what is typed and pressed is sent. Every text is set as text.

const byId = (id) => document.getElementById(id);
const SILENCE = 4000; // ms without a word after which the page says that it shows the past
const RETRY = 1000; // ms

// The scene, in a worker where that can be.
const canvas = byId("scene");
const view = new Viewpoint();
const scene = sceneOf(canvas);
function sceneOf(target) {
  if (target.transferControlToOffscreen && window.Worker) {
    const worker = new Worker("live_scene.js");
    const offscreen = target.transferControlToOffscreen();
    worker.postMessage({ canvas: offscreen }, [offscreen]);
    return { take: (message) => worker.postMessage(message) };
  }
  const here = new LiveScene();
  here.take({ canvas: target });
  return here;
}
const look = () => scene.take({ view: { azimuth: view.azimuth, elevation: view.elevation, zoom: view.zoom, pan: view.pan } });
view.follow(canvas, look);
look();
new ResizeObserver(() => scene.take({ size: [canvas.clientWidth, canvas.clientHeight, window.devicePixelRatio || 1] })).observe(canvas);
byId("heat").addEventListener("change", (event) => scene.take({ heat: event.target.checked }));

// What comes.
const CANDIDATES = ["", "share", "sure", "place (m)", "gripper", "", "spread", "became"];
const pictures = new Map();
let heard = 0;
let clock = "";
let wasStopped = false;
let isSilent = false; // though the page itself is served

function showState(state) {
  isSilent = state.silent;
  const phase = state.phase && state.phase !== "moved" ? `keyframe ${state.keyframe}: ${state.phase} ${state.message}` : "";
  const waiting = state.ready ? "ready for a sentence" : "the policy is not ready: it is loaded, or sees no cloud";
  byId("now").textContent = state.phase ? `'${state.sentence}'  ${phase}` : waiting;
  byId("progress").style.width = `${state.progress || 0}%`;
  byId("ended").textContent = state.ended ? `${state.ended.text}${state.world && state.ended.good ? `; ${state.world}` : ""}` : "";
  byId("ended").className = state.ended ? (state.ended.good ? "good" : "bad") : "";
  byId("question").hidden = !state.question;
  byId("question").dataset.id = state.question ? state.question.id : "";
  byId("asked").textContent = state.question ? state.question.text : "";
  document.body.dataset.stopped = state.stopped;
  const told = byId("stopped");
  if (state.stopped && !told.textContent) {
    told.textContent = "stopped; Resume lets it go on";
    told.dataset.rests = "yes";
  }
  // A stop that nobody heard, or after which the arm was not measured to rest, stays written until Resume; and an
  // answer may be here before the state that it is of.
  if (wasStopped && !state.stopped && told.dataset.rests) told.textContent = "";
  wasStopped = state.stopped;
  byId("percent").textContent = `${state.speed} %${state.speed_reason ? `: ${state.speed_reason}` : ""}`;
  if (document.activeElement !== byId("speed")) byId("speed").value = state.speed;
  byId("beliefs").textContent = state.beliefs.join("; ") || (state.candidates.length ? "the policy knows nothing of itself" : "");
  byId("candidates").replaceChildren(table(CANDIDATES, state.candidates, "nothing was decided yet"));
  byId("arm").textContent = [state.arm, state.held].filter(Boolean).join("; ");
  byId("health").replaceChildren(table(["part", "level", "said"], state.health, "nobody said anything"));
  byId("lines").replaceChildren(...state.lines.reverse().map((line) => element("li", {}, line)));
  scene.take({ modes: state.modes });
}

function showPicture({ camera }, content) {
  if (!pictures.has(camera)) {
    const image = element("img", { alt: `camera ${camera}` });
    pictures.set(camera, image);
    const figure = element("figure", {}, image, element("figcaption", {}, camera));
    const later = [...byId("cameras").children].find((other) => other.textContent > camera);
    byId("cameras").insertBefore(figure, later || null);
  }
  const image = pictures.get(camera);
  const before = image.src;
  image.src = URL.createObjectURL(new Blob([content], { type: "image/jpeg" }));
  if (before) URL.revokeObjectURL(before);
}

function showPart(name, values, content) {
  if (name === "state") showState(values);
  else if (name === "clock") clock = values.time;
  else if (name === "stack") {
    const where = [values.space && `/${values.space}`, `domain ${values.domain}`].filter(Boolean).join(", ");
    document.title = `mini diffuser ${where}`;
    byId("link").dataset.where = where;
  } else if (name === "sentences") {
    byId("known").replaceChildren(...values.known.map((sentence) => element("option", { value: sentence })));
    byId("answer").textContent = values.missing;
  } else if (name.startsWith("camera ")) showPicture(values, content);
  else {
    scene.take({ part: name, values, ...(content.byteLength ? { content } : {}) });
    if (name === "cloud") {
      const remembered = values.remembered ? `, ${values.remembered} remembered in violet` : "";
      byId("cloud").textContent = `\u00b7 ${values.count} of ${values.total} points${remembered}`;
      document.body.dataset.points = values.count;
    }
  }
}

function showFrame(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const entries = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  for (const { name, values, size } of entries) {
    showPart(name, values, buffer.slice(at, at + size));
    at += size;
  }
  heard = performance.now();
}

function connect() {
  const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`;
  const socket = new WebSocket(token ? `${address}?token=${encodeURIComponent(token)}` : address);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("message", (event) => {
    showFrame(event.data);
    socket.send("taken"); // the next one, with what is new then
  });
  socket.addEventListener("close", () => setTimeout(connect, RETRY));
}
connect();
setInterval(() => {
  const isLost = isSilent || !heard || performance.now() - heard > SILENCE;
  byId("link").classList.toggle("lost", isLost);
  byId("link").textContent = isLost ? "no word from the stack: what is shown is past" : `${byId("link").dataset.where || ""}, ${clock}`;
}, 500);

// What is asked for.
async function command(path, values) {
  try {
    const response = await ask(path, values);
    byId("answer").textContent = response.status === 403 ? await response.text() : (await response.json()).said;
  } catch (error) {
    byId("answer").textContent = `not heard: ${error.message}`;
  }
}
byId("say").addEventListener("submit", (event) => {
  event.preventDefault();
  command("say", { sentence: byId("sentence").value });
  byId("sentence").blur(); // so that space stops
});
byId("resume").addEventListener("click", () => {
  stopping++;
  byId("stopped").textContent = "";
  command("resume", {});
});
byId("speed").addEventListener("change", (event) => {
  command("speed", { percent: Number(event.target.value) });
  event.target.blur();
});
byId("consent").addEventListener("click", () => command("answer", { id: byId("question").dataset.id, consent: true }));
byId("decline").addEventListener("click", () => command("answer", { id: byId("question").dataset.id, consent: false }));
