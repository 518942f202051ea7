"use strict";
// Stopping and nothing else: whatever becomes of the rest of the page, this needs none of it. A form of its own, so that
// the button works even without scripts where no token is asked for.

const STOP_PATIENCE = 3000; // ms for an answer before it is asked for again; the arm has to come to rest
const STOP_PAUSE = 200; // ms between two tries
const STOP_QUICK = 20; // tries, after which the pauses are longer; it is asked for until it is answered, or Resume is pressed
const STOP_LONG_PAUSE = 1000; // ms
const STOP_LAG = 1000; // ms after a press in which what the stack says of itself may be from before it

const token = new URLSearchParams(location.hash.slice(1)).get("token") || "";
const stack = document.documentElement.dataset.stack || ""; // whose page this is: at its address may be another one later

function ask(path, values, signal) {
  const headers = { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const address = `${path}?stack=${encodeURIComponent(stack)}`;
  return fetch(address, { method: "POST", headers, body: JSON.stringify(values), keepalive: true, signal });
}

// {done, said} of a response; what was refused before anybody looked at the command comes as plain text.
async function answerOf(response) {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return { done: false, refused: true, said: text.trim() || `status ${response.status}` };
  }
}

let stopPressed = 0; // when, for performance.now()
let stackHolds = false; // whether a stop holds, as the stack said last
let stopping = 0; // number of the press that is asked for; Resume takes it back
let stopLine = null; // the open websocket, for when requests that wait for others hold all connections of the browser
let tried = 0;
const waiting = new Map(); // number of a try to what ends it

function stopBy(socket) {
  socket.addEventListener("open", () => {
    stopLine = socket;
  });
  socket.addEventListener("message", (event) => {
    if (typeof event.data !== "string") return;
    const answer = JSON.parse(event.data);
    const one = waiting.get(answer.number);
    if (one) one.end(answer);
  });
  socket.addEventListener("close", () => {
    if (stopLine !== socket) return;
    stopLine = null;
    for (const one of [...waiting.values()]) one.lose();
  });
}

// One try, by a request and over the websocket at once: the first answer, null where there is none.
function tryToStop() {
  return new Promise((settle) => {
    const number = ++tried;
    const halt = new AbortController();
    let ways = 1;
    const end = (answer) => {
      clearTimeout(timer);
      waiting.delete(number);
      settle(answer);
      halt.abort();
    };
    const lose = () => {
      ways -= 1;
      if (!ways) end(null);
    };
    const timer = setTimeout(() => end(null), STOP_PATIENCE);
    if (stopLine && stopLine.readyState === WebSocket.OPEN) {
      ways += 1;
      waiting.set(number, { end, lose });
      stopLine.send(`stop ${number}`);
    }
    const asked = async () => answerOf(await ask("stop", {}, halt.signal));
    asked().then(end, lose);
  });
}

async function stopArm() {
  const mine = ++stopping;
  stopPressed = performance.now();
  const told = document.getElementById("stopped");
  told.textContent = "stopping ...";
  delete told.dataset.done; // until it is known, what is said here stays
  for (let tries = 0; ; tries++) {
    const answer = await tryToStop();
    if (mine !== stopping) return;
    if (!answer) told.textContent = "STOP NOT HEARD, asking again: use the emergency stop";
    else told.textContent = answer.stack || answer.refused ? `NOT STOPPED, use the emergency stop: ${answer.said}` : answer.said;
    // It holds until Resume; what the arm is measured to do meanwhile stands beside it.
    if (answer && (answer.done || answer.holds)) {
      told.dataset.done = "yes";
      return;
    }
    if (answer && !answer.stack && !answer.refused) hearHold(stackHolds, stackHolds); // of this stack, and heard
    await new Promise((done) => setTimeout(done, tries < STOP_QUICK ? STOP_PAUSE : STOP_LONG_PAUSE));
    if (mine !== stopping) return;
  }
}

// Whether a stop holds, as the stack says. What holds, or was resumed since the press, is not asked for again.
function hearHold(stopped, wasStopped) {
  stackHolds = stopped;
  const told = document.getElementById("stopped");
  const isAsked = !told.dataset.done && told.textContent;
  if (!isAsked || performance.now() - stopPressed < STOP_LAG) return;
  if (stopped) {
    stopping++;
    told.dataset.done = "yes";
    told.textContent = "stopped";
  } else if (wasStopped) forgetStop();
}

function forgetStop() {
  stopping++;
  document.getElementById("stopped").textContent = "";
}

function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(text|search|)$/.test(target.tagName === "INPUT" ? target.type : "x"));
}

// Before anything else of the page sees a key. Space would press the button that has the focus, be it Resume.
for (const name of ["keydown", "keyup"])
  window.addEventListener(
    name,
    (event) => {
      const isStop = event.key === "Escape" || (event.key === " " && !isTyping(event.target));
      if (!isStop) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (name === "keydown" && !event.repeat) stopArm();
    },
    { capture: true },
  );
document.getElementById("stop").addEventListener("submit", (event) => {
  event.preventDefault();
  stopArm();
});
