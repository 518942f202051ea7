"use strict";
// The scene of the live page, in a worker where the browser can: however long it takes to paint, keys are heard.

class LiveScene {
  constructor() {
    this.parts = {};
    this.waits = false;
    this.painted = 0;
    this.stale = [];
  }

  // One of {canvas}, {size}, {view}, {part, values, content}, {heat}, {modes}, {stale}, {forget}.
  take(message) {
    if (message.canvas) this.painter = new ScenePainter(message.canvas);
    if (message.part) this.parts[message.part] = { ...message, ...(message.content ? unpacked(message) : {}) };
    if (message.forget) {
      delete this.parts.cloud;
      delete this.parts.arm;
    }
    for (const name of ["size", "view", "heat", "modes", "stale"]) if (name in message) this[name] = message[name];
    if (!this.waits) {
      this.waits = true;
      const soon = self.requestAnimationFrame || ((paint) => setTimeout(paint, 33));
      soon(() => this.paint());
    }
  }

  paint() {
    this.waits = false;
    const { cloud, arm, lines } = this.parts;
    if (!this.painter || !this.size || !this.view || !lines) return;
    const warm = cloud && this.heat && !this.stale.includes("cloud");
    const seen = [
      this.stale.includes("arm") ? greyed(arm) : arm,
      warm ? { points: cloud.points, colors: heated(cloud, this.modes || []) } : this.stale.includes("cloud") ? greyed(cloud) : cloud,
    ].filter(Boolean);
    const { low, high, lines: drawn } = lines.values;
    const scene = { low, high, lines: drawn, points: joined(Float32Array, seen, "points"), colors: joined(Uint8Array, seen, "colors") };
    this.painter.paint(scene, this.view, ...this.size);
    this.painted += 1;
  }
}

// Positions and colours of a part: whole steps of 16 bits, then bytes.
function unpacked({ values, content }) {
  const { center, unit, count } = values;
  const steps = new Int16Array(content, 0, 3 * count);
  const points = new Float32Array(3 * count);
  for (let i = 0; i < points.length; i++) points[i] = steps[i] * unit + center[i % 3];
  return { points, colors: new Uint8Array(content, 6 * count, 3 * count) };
}

function joined(Kind, parts, name) {
  const all = new Kind(parts.reduce((sum, part) => sum + part[name].length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part[name], at);
    at += part[name].length;
  }
  return all;
}

// A part that is past, without colour and pale.
function greyed(part) {
  if (!part) return part;
  const colors = new Uint8Array(part.colors.length);
  for (let i = 0; i < colors.length; i += 3) colors.fill(150 + (part.colors[i] + part.colors[i + 1] + part.colors[i + 2]) / 9, i, i + 3);
  return { points: part.points, colors };
}

const HEAT_WIDTH = 0.03; // metres about a candidate that are coloured besides its own spread

// Colours of a cloud by the shares of the candidates near each point: [x, y, z, share, spread] of each.
function heated({ points, colors }, modes) {
  const mixed = new Uint8Array(colors.length);
  for (let i = 0; i < points.length; i += 3) {
    let heat = 0;
    for (const [x, y, z, share, spread] of modes) {
      const far = (points[i] - x) ** 2 + (points[i + 1] - y) ** 2 + (points[i + 2] - z) ** 2;
      heat += share * Math.exp(-far / (2 * (HEAT_WIDTH ** 2 + spread ** 2)));
    }
    const part = Math.min(1, heat);
    const grey = 0.25 * (colors[i] + colors[i + 1] + colors[i + 2]) + 40;
    const [red, green, blue] = part < 0.5 ? [510 * part, 60 + 240 * part, 220 - 360 * part] : [255, 360 - 360 * part, 40];
    const weight = 0.15 + 0.85 * Math.sqrt(part);
    mixed[i] = grey + weight * (red - grey);
    mixed[i + 1] = grey + weight * (green - grey);
    mixed[i + 2] = grey + weight * (blue - grey);
  }
  return mixed;
}

if (typeof WorkerGlobalScope !== "undefined" && self instanceof WorkerGlobalScope) {
  importScripts("scene.js");
  const scene = new LiveScene();
  self.onmessage = (event) => {
    if (event.data.tell) self.postMessage({ painted: scene.painted });
    else scene.take(event.data);
  };
}
