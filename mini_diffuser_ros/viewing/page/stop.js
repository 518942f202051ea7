"use strict";
// Stopping and nothing else: whatever becomes of the rest of the page, this needs none of it. A form of its own, so that
// the button works even without scripts where no token is asked for.

const STOP_TRIES = 20;
const STOP_PAUSE = 200; // ms between two
const STOP_PATIENCE = 3000; // ms for an answer before it is asked for again; the arm has to come to rest

const token = new URLSearchParams(location.hash.slice(1)).get("token") || "";

function ask(path, values, signal) {
  const headers = { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  return fetch(path, { method: "POST", headers, body: JSON.stringify(values), keepalive: true, signal });
}

let stopping = 0;

async function stopArm() {
  const mine = ++stopping;
  const told = document.getElementById("stopped");
  told.textContent = "stopping ...";
  delete told.dataset.rests; // until it is known, what is said here stays
  for (let tries = 0; tries < STOP_TRIES && mine === stopping; tries++) {
    try {
      const response = await ask("stop", {}, AbortSignal.timeout(STOP_PATIENCE));
      const answer = await response.json();
      if (mine === stopping) told.textContent = answer.said;
      if (answer.done) {
        if (mine === stopping) told.dataset.rests = "yes";
        return;
      }
    } catch {
      if (mine === stopping) told.textContent = `STOP NOT HEARD, asking again: use the emergency stop`;
    }
    await new Promise((done) => setTimeout(done, STOP_PAUSE));
  }
  if (mine === stopping && told.textContent.startsWith("STOP NOT HEARD")) told.textContent = "STOP NOT HEARD: use the emergency stop";
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
