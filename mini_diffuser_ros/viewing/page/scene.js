"use strict";
// A cloud with lines in it, to turn round: drag turns, shift or the right button shifts, the wheel or two fingers zoom,
// a double click looks again as at first. Drawn by a depth buffer of its own, so that it needs no WebGL, as over ssh.

const BACKGROUND = [240, 242, 245];
const RADIUS = 0.0032; // metres of a point
const MOST_PIXELS = 40; // of its radius, however near it is
const MOST_LINES = 400; // of the grid along an axis
const ZOOMS = [0.2, 40];

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function pointsOf(cloud) {
  const steps = new Int16Array(bytesOf(cloud.steps).buffer);
  const points = new Float32Array(steps.length);
  for (let i = 0; i < steps.length; i++) points[i] = steps[i] * cloud.unit + cloud.center[i % 3];
  return { points, colors: bytesOf(cloud.colors) };
}

// Where a scene is looked at from.
class Viewpoint {
  constructor() {
    this.home();
  }

  home() {
    this.azimuth = (-35 * Math.PI) / 180;
    this.elevation = (35 * Math.PI) / 180;
    this.zoom = 1;
    this.pan = [0, 0];
  }

  zoomBy(factor) {
    this.zoom = Math.max(ZOOMS[0], Math.min(ZOOMS[1], this.zoom * factor));
  }

  // Has what happens to an element turn, shift and zoom; changed() is called after each.
  follow(canvas, changed) {
    const held = new Map();
    let apart = 0;
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      held.set(event.pointerId, [event.clientX, event.clientY]);
      apart = 0;
    });
    for (const name of ["pointerup", "pointercancel"])
      canvas.addEventListener(name, (event) => held.delete(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      const before = held.get(event.pointerId);
      if (!before) return;
      const [dx, dy] = [event.clientX - before[0], event.clientY - before[1]];
      held.set(event.pointerId, [event.clientX, event.clientY]);
      if (held.size === 2) {
        const [one, other] = [...held.values()];
        const now = Math.hypot(one[0] - other[0], one[1] - other[1]);
        if (apart) this.zoomBy(now / apart);
        apart = now;
      } else if (event.shiftKey || event.buttons & 2) {
        this.pan = [this.pan[0] + dx, this.pan[1] + dy];
      } else {
        this.azimuth -= dx * 0.008;
        this.elevation = Math.max(-1.57, Math.min(1.57, this.elevation + dy * 0.008));
      }
      changed();
    });
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoomBy(Math.exp(-event.deltaY * 0.001));
        changed();
      },
      { passive: false },
    );
    canvas.addEventListener("dblclick", () => {
      this.home();
      changed();
    });
  }
}

// A scene on a canvas of a page.
class SceneView {
  constructor(canvas) {
    this.canvas = canvas;
    this.view = new Viewpoint();
    this.painter = new ScenePainter(canvas);
    this.scene = null;
    this.view.follow(canvas, () => this.draw());
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  // Shows a scene {low, high, cloud, lines}; the place of the viewer stays, so that scenes can be stepped through.
  show(scene) {
    this.scene = { ...scene, ...pointsOf(scene.cloud) };
    this.draw();
  }

  draw() {
    const size = [this.canvas.clientWidth, this.canvas.clientHeight, window.devicePixelRatio || 1];
    if (this.scene) this.painter.paint(this.scene, this.view, ...size);
  }
}

// Paints scenes {low, high, points, colors, lines}, in a page or in a worker.
class ScenePainter {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
  }

  // Width and height as the page has them, and how many pixels are one of those.
  paint(scene, view, clientWidth, clientHeight, ratio) {
    const [width, height] = [clientWidth, clientHeight].map((n) => Math.round(n * ratio));
    if (!width || !height) return;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.scene = scene;
    this.view = view;
    const projection = this.projection(width, height, ratio);
    this.drawPoints(width, height, projection);
    this.drawGrid(projection, ratio);
    this.drawLines(projection, ratio);
  }

  // Rows right, down and away of the viewer, as the pictures of the package have them.
  axes() {
    const { azimuth, elevation } = this.view;
    const [ca, sa] = [Math.cos(azimuth), Math.sin(azimuth)];
    const [ce, se] = [Math.cos(elevation), Math.sin(elevation)];
    return [
      [-sa, ca, 0],
      [se * ca, se * sa, -ce],
      [-ce * ca, -ce * sa, -se],
    ];
  }

  // A function from metres to [x, y, distance] in pixels; nearer is less.
  projection(width, height, ratio) {
    const { low, high } = this.scene;
    const { zoom, pan } = this.view;
    const middle = low.map((value, axis) => (value + high[axis]) / 2);
    const size = Math.hypot(...low.map((value, axis) => high[axis] - value));
    const scale = (zoom * 1.25 * Math.min(width, height)) / size;
    const [right, down, away] = this.axes();
    const center = [width / 2 + pan[0] * ratio, height / 2 + pan[1] * ratio];
    const project = (x, y, z) => {
      const [a, b, c] = [x - middle[0], y - middle[1], z - middle[2]];
      const far = away[0] * a + away[1] * b + away[2] * c;
      const shrink = scale / (1 + (0.35 * far) / size);
      return [
        center[0] + shrink * (right[0] * a + right[1] * b + right[2] * c),
        center[1] + shrink * (down[0] * a + down[1] * b + down[2] * c),
        far,
      ];
    };
    return { project, scale };
  }

  drawPoints(width, height, { project, scale }) {
    const { points, colors } = this.scene;
    const image = this.context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    pixels.fill((255 << 24) | (BACKGROUND[2] << 16) | (BACKGROUND[1] << 8) | BACKGROUND[0]);
    const depth = new Float32Array(width * height).fill(Infinity);
    const radius = Math.min(MOST_PIXELS, Math.max(1, Math.round(scale * RADIUS)));
    for (let i = 0; i < points.length; i += 3) {
      const [px, py, far] = project(points[i], points[i + 1], points[i + 2]);
      const [x, y] = [Math.round(px), Math.round(py)];
      if (!(x >= -radius && y >= -radius && x < width + radius && y < height + radius)) continue;
      const color = (255 << 24) | (colors[i + 2] << 16) | (colors[i + 1] << 8) | colors[i];
      for (let dy = -radius; dy <= radius; dy++) {
        const row = y + dy;
        if (row < 0 || row >= height) continue;
        const half = Math.floor(Math.sqrt(radius * radius + radius - dy * dy));
        const end = Math.min(width - 1, x + half);
        for (let column = Math.max(0, x - half); column <= end; column++) {
          const at = row * width + column;
          if (far < depth[at]) {
            depth[at] = far;
            pixels[at] = color;
          }
        }
      }
    }
    this.context.putImageData(image, 0, 0);
  }

  // Lines every 0.1 m on the plane z = 0.
  drawGrid({ project }, ratio) {
    const { low, high } = this.scene;
    const context = this.context;
    context.globalCompositeOperation = "multiply"; // beneath the points
    context.strokeStyle = "rgb(222 224 228)";
    context.lineWidth = ratio;
    context.beginPath();
    for (const axis of [0, 1]) {
      const [first, count] = [Math.ceil(low[axis] * 10), Math.floor(high[axis] * 10) - Math.ceil(low[axis] * 10) + 1];
      if (!(count <= MOST_LINES)) continue; // of a place that no arm works at, or of no number
      for (let step = first; step < first + count; step++) {
        const ends = [low[1 - axis], high[1 - axis]].map((other) => (axis ? [other, step / 10] : [step / 10, other]));
        context.moveTo(...project(...ends[0], 0).slice(0, 2));
        context.lineTo(...project(...ends[1], 0).slice(0, 2));
      }
    }
    context.stroke();
    context.globalCompositeOperation = "source-over";
  }

  drawLines({ project }, ratio) {
    const context = this.context;
    context.lineCap = "round";
    context.font = `${13 * ratio}px system-ui, sans-serif`;
    for (const { edges, color, label, thin } of this.scene.lines) {
      const style = `rgb(${color.join(" ")})`;
      for (const [stroke, width] of thin ? [[style, 1]] : [["white", 5], [style, 2.5]]) {
        context.strokeStyle = stroke;
        context.lineWidth = width * ratio;
        context.beginPath();
        for (const [from, to] of edges) {
          context.moveTo(...project(...from).slice(0, 2));
          context.lineTo(...project(...to).slice(0, 2));
        }
        context.stroke();
      }
      if (!label || !edges.length) continue;
      const [x, y] = project(...edges[edges.length - 1][1]);
      context.strokeStyle = "white";
      context.lineWidth = 4 * ratio;
      context.strokeText(label, x + 6 * ratio, y - 4 * ratio);
      context.fillStyle = style;
      context.fillText(label, x + 6 * ratio, y - 4 * ratio);
    }
  }
}
