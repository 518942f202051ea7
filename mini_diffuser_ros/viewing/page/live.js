"use strict";
// The live page: what the node sends is shown, what is typed and pressed is sent. Every text is set as text.

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
const pictures = new Map(); // camera to its figure
let heard = 0;
let clock = "";
let wasStopped = false;
let isSilent = false; // though the page itself is served
let isFirst = false; // frame of a connection: what was shown before may be there no more

function showState(state) {
  isSilent = state.silent;
  showDoing(state);
  byId("ended").textContent = state.ended ? state.ended.text : "";
  byId("ended").className = state.ended ? (state.ended.good ? "good" : "bad") : "";
  showQuestion(state.question);
  showHold(state);
  byId("percent").textContent = `${state.speed} %${state.speed_reason ? `: ${state.speed_reason}` : ""}`;
  if (document.activeElement !== byId("speed")) byId("speed").value = state.speed;
  byId("beliefs").textContent = state.beliefs.join("; ") || (state.candidates.length ? "the policy knows nothing of itself" : "");
  byId("candidates").replaceChildren(table(CANDIDATES, state.candidates, "nothing was decided yet"));
  byId("arm").textContent = [state.arm, state.held].filter(Boolean).join("; ");
  byId("health").replaceChildren(table(["part", "level", "said"], state.health, "nobody said anything"));
  byId("lines").replaceChildren(...state.lines.reverse().map((line) => element("li", {}, line)));
  scene.take({ modes: state.modes });
}

// What policy_node says that it does; where it has fallen silent, that was its last word.
function showDoing({ sentence, phase, keyframe, message, ready, progress, policy }) {
  const doing = phase && phase !== "moved" ? `keyframe ${keyframe}: ${phase} ${message}` : "";
  const last = phase ? `'${sentence}'  ${doing}` : "";
  const waits = ready ? "ready for a sentence" : "the policy is not ready: it is loaded, or sees no cloud";
  byId("now").textContent = policy ? [policy, last && `its last word: ${last}`].filter(Boolean).join("; ") : last || waits;
  byId("now").classList.toggle("stale", Boolean(policy));
  byId("progress").style.width = `${(!policy && progress) || 0}%`;
}

// Whether a stop holds, as motion_node says, and what the arm is measured to do meanwhile.
function showHold({ stopped, motion, arm, rests }) {
  document.body.dataset.stopped = stopped;
  const told = byId("stopped");
  byId("holds").textContent = stopped ? `a stop holds until Resume${motion && ` (${motion})`}; measured: ${arm}` : "";
  byId("holds").dataset.rests = rests ? "yes" : "no";
  byId("holds").classList.toggle("moving", !rests);
  if (!motion && !isSilent) hearHold(stopped, wasStopped);
  // A stop that nobody heard stays written until Resume; and an answer may be here before the state that it is of.
  if (wasStopped && !stopped && told.dataset.done) told.textContent = "";
  wasStopped = stopped;
}

function showPicture({ camera }, content) {
  if (!pictures.has(camera)) {
    const made = element("figure", { "data-camera": camera }, element("img", { alt: `camera ${camera}` }), element("figcaption", {}, camera));
    pictures.set(camera, made);
    const later = [...byId("cameras").children].find((other) => other.dataset.camera > camera);
    byId("cameras").insertBefore(made, later || null);
  }
  const image = pictures.get(camera).querySelector("img");
  const before = image.src;
  image.src = URL.createObjectURL(new Blob([content], { type: "image/jpeg" }));
  if (before) URL.revokeObjectURL(before);
}

// What has not come for long, by name of its part, with whole seconds.
function showStale(seconds) {
  const words = (name) => (name in seconds ? `nothing for ${seconds[name]} s` : "");
  for (const [camera, made] of pictures) {
    const told = words(`camera ${camera}`);
    made.querySelector("img").classList.toggle("stale", Boolean(told));
    made.querySelector("figcaption").classList.toggle("stale", Boolean(told));
    made.querySelector("figcaption").textContent = told ? `${camera}: ${told}` : camera;
  }
  const past = ["cloud", "arm"].filter((name) => name in seconds);
  byId("past").textContent = past.map((name) => `${name}: ${words(name)}, drawn in grey`).join("; ");
  scene.take({ stale: past });
}

function forgetParts() {
  byId("cameras").replaceChildren();
  for (const made of pictures.values()) URL.revokeObjectURL(made.querySelector("img").src);
  pictures.clear();
  byId("cloud").textContent = "";
  scene.take({ forget: true });
}

function showPart(name, values, content) {
  if (name === "state") showState(values);
  else if (name === "clock") clock = values.time;
  else if (name === "stale") showStale(values);
  else if (name === "sentences") {
    byId("known").replaceChildren(...values.known.map((sentence) => element("option", { value: sentence })));
    byId("answer").textContent = values.missing;
  } else if (name === "cameras") byId("unseen").textContent = values.missing;
  else if (name.startsWith("camera ")) showPicture(values, content);
  else {
    scene.take({ part: name, values, ...(content.byteLength ? { content } : {}) });
    if (name === "cloud") {
      const remembered = values.remembered ? `, ${values.remembered} remembered in violet` : "";
      byId("cloud").textContent = `\u00b7 ${values.count} of ${values.total} points${remembered}`;
      document.body.dataset.points = values.count;
    }
  }
}

// At this page's address is another stack's now: of that one nothing is shown or asked for here.
function showOther(name) {
  document.body.dataset.other = name;
  byId("other").hidden = false;
  byId("other").querySelector("p").textContent =
    `This page is of ${stack}. At its address is now that of ${name}: nothing is shown, and Stop here stops neither of them.`;
  forgetParts();
}
byId("other").querySelector("button").addEventListener("click", () => location.reload());

function showFrame(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const entries = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const other = entries.find(({ name }) => name === "other stack");
  if (other) return showOther(other.values.name);
  delete document.body.dataset.other;
  byId("other").hidden = true;
  if (isFirst) forgetParts();
  isFirst = false;
  let at = 4 + length;
  for (const { name, values, size } of entries) {
    showPart(name, values, buffer.slice(at, at + size));
    at += size;
  }
  heard = performance.now();
}

function connect() {
  const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live?stack=${encodeURIComponent(stack)}`;
  const socket = new WebSocket(token ? `${address}&token=${encodeURIComponent(token)}` : address);
  socket.binaryType = "arraybuffer";
  stopBy(socket);
  socket.addEventListener("open", () => {
    isFirst = true;
  });
  socket.addEventListener("message", (event) => {
    if (typeof event.data === "string") return; // about a stop
    showFrame(event.data);
    socket.send("taken"); // the next one, with what is new then
  });
  socket.addEventListener("close", () => setTimeout(connect, RETRY));
}
document.title = `mini diffuser ${stack}`;
connect();
setInterval(() => {
  const isLost = isSilent || !heard || performance.now() - heard > SILENCE;
  document.body.classList.toggle("past", isLost);
  byId("link").classList.toggle("lost", isLost);
  byId("link").textContent = isLost ? `${stack}: no word from the stack, what is shown is past` : `${stack}, ${clock}`;
}, 500);
