"use strict";
// What is asked for on the live page besides a stop: a sentence, speed, resume, consent. Each control asks once at a
// time, so that requests which nobody answers leave a connection free.

const COMMAND_PATIENCE = 8000; // ms
const SAYING_PATIENCE = 45000; // ms; a simulated table may have to be laid first
const READING = 700; // ms that a question has been drawn before it can be answered

const byId = (id) => document.getElementById(id);

async function command(path, values, patience = COMMAND_PATIENCE) {
  const halt = new AbortController();
  const timer = setTimeout(() => halt.abort(), patience);
  try {
    const answer = await answerOf(await ask(path, values, halt.signal));
    byId("answer").textContent = answer.said;
    if (answer.stack) byId("stopped").textContent = answer.said; // of another stack: the rest of the page is hidden
  } catch (error) {
    byId("answer").textContent = halt.signal.aborted
      ? `no answer to ${path} within ${patience / 1000} s`
      : `not heard: ${error.message}`;
  } finally {
    clearTimeout(timer);
  }
}

async function commandOf(button, path, values, patience) {
  button.disabled = true;
  await command(path, values, patience);
  button.disabled = false;
}

byId("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const button = byId("say").querySelector("button");
  if (button.disabled) return;
  commandOf(button, "say", { sentence: byId("sentence").value }, SAYING_PATIENCE);
  byId("sentence").blur(); // so that space stops
});
byId("resume").addEventListener("click", () => {
  forgetStop();
  commandOf(byId("resume"), "resume", {});
});

// Speeds that are chosen while one is being asked for: the newest of them afterwards.
let chosen = null;
let isPacing = false;
byId("speed").addEventListener("change", async (event) => {
  chosen = Number(event.target.value);
  event.target.blur();
  if (isPacing) return;
  isPacing = true;
  while (chosen !== null) {
    const percent = chosen;
    chosen = null;
    await command("speed", { percent });
  }
  isPacing = false;
});

// The question. Who presses has read the one that was drawn when the press began, and is held to that one.
const question = byId("question");
const answers = [byId("consent"), byId("decline")];
let read = null; // id of the question that was drawn for long enough
let pressed = null; // id of the question that was drawn when a press began
let isAnswering = false;

function allowAnswers() {
  for (const button of answers) button.disabled = isAnswering || read !== question.dataset.id;
}

function showQuestion(asked) {
  const id = asked ? asked.id : "";
  question.hidden = !asked;
  byId("asked").textContent = asked ? asked.text : "";
  if (question.dataset.id === id) return;
  question.dataset.id = id;
  if (asked) byId("answer").textContent = ""; // consent to an earlier question is none to this one
  question.classList.remove("new");
  read = null;
  allowAnswers();
  requestAnimationFrame(() => {
    question.classList.add("new");
    setTimeout(() => {
      if (question.dataset.id === id) read = id;
      allowAnswers();
    }, READING);
  });
}

for (const button of answers) {
  button.addEventListener("pointerdown", () => {
    pressed = question.dataset.id;
  });
  button.addEventListener("keydown", (event) => {
    if (event.repeat) event.preventDefault(); // a key that is held answers once
    else pressed = question.dataset.id;
  });
  button.addEventListener("click", async () => {
    const id = pressed === null ? question.dataset.id : pressed;
    pressed = null;
    isAnswering = true;
    allowAnswers();
    await command("answer", { id, consent: button === byId("consent") });
    isAnswering = false;
    allowAnswers();
  });
}
for (const name of ["pointerup", "pointercancel", "keyup"])
  window.addEventListener(name, () => setTimeout(() => (pressed = null))); // after the click, if there is one
