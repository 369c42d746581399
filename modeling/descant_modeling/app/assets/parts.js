// Helpers shared by the editor and the player.

import { t } from "./texts.js";

const COLORS = ["#d55e00", "#e69f00", "#009e73", "#0072b2"];
const ENSEMBLES = [["Soprano", "Alto", "Tenor", "Bass"], ["Violin I", "Violin II", "Viola", "Cello"], ["Voice", , "Right hand", "Left hand"]];
export const VOICE_COLORS = Object.fromEntries(ENSEMBLES.flatMap((names) => names.map((name, index) => [name, COLORS[index]])));
const OTHER_COLORS = ["#cc79a7", "#56b4e9", "#7f7f7f", "#b3a800"];
const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const SVG = "http://www.w3.org/2000/svg";

export const isBlack = (pitch) => [1, 3, 6, 8, 10].includes(pitch % 12);
export const noteName = (pitch) => NAMES[pitch % 12] + (Math.floor(pitch / 12) - 1);
export const colorOf = (name, index) => VOICE_COLORS[name] ?? OTHER_COLORS[index % OTHER_COLORS.length];
export const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// Make an element: h("button", { class: "x", onclick: f, "aria-label": "y" }, "text", child, ...)
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

// Make an SVG element.
export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("aria-")) element.setAttribute(name, String(value));
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

// A shadow root with our style sheet: the page's styles and redrawing do not reach inside.
export function shadowOf(element) {
  const root = element.attachShadow({ mode: "open" });
  root.append(h("link", { rel: "stylesheet", href: new URL("parts.css", import.meta.url).href }));
  return root;
}

export async function sentenceOf(response) {
  if (response.status === 413) return t`The file is too large. Cut it shorter.`;
  try {
    return (await response.json()).error ?? t`The server answered ${response.status}.`;
  } catch {
    return t`The server answered ${response.status}.`;
  }
}

export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

// Icons, drawn here so that they depend on no font.
const stem = '<path d="M10 4v13" stroke="currentColor" stroke-width="1.6"/>';
const head = (fill) =>
  `<ellipse cx="7" cy="17" rx="3.6" ry="2.6" transform="rotate(-18 7 17)" stroke="currentColor" stroke-width="1.5" fill="${fill}"/>`;
const flag = (y) => `<path d="M10 ${y}c1 3 4 3 4 7" stroke="currentColor" stroke-width="1.6" fill="none"/>`;
const drawings = {
  16: '<ellipse cx="9" cy="14" rx="4.6" ry="3" stroke="currentColor" stroke-width="2" fill="none"/>',
  8: head("none") + stem,
  4: head("currentColor") + stem,
  2: head("currentColor") + stem + flag(4),
  1: head("currentColor") + stem + flag(4) + flag(8),
  play: '<path d="M6 4l13 8-13 8z" fill="currentColor"/>',
  stop: '<path d="M6 6h12v12H6z" fill="currentColor"/>',
  pause: '<path d="M6 5h4v14H6zM14 5h4v14h-4z" fill="currentColor"/>',
  lock: '<path d="M6 11h12v9H6z" fill="currentColor"/><path d="M8.5 11V8a3.5 3.5 0 0 1 7 0v3" stroke="currentColor" stroke-width="2" fill="none"/>',
  open: '<path d="M6 11h12v9H6z" fill="none" stroke="currentColor" stroke-width="1.6"/><path d="M8.5 11V8a3.5 3.5 0 0 1 6.6-1.6" stroke="currentColor" stroke-width="1.8" fill="none"/>',
  loud: '<path d="M4 9v6h4l5 4V5L8 9z" fill="currentColor"/><path d="M16 8.5a5 5 0 0 1 0 7M18.5 6a8.5 8.5 0 0 1 0 12" stroke="currentColor" stroke-width="1.8" fill="none"/>',
  mute: '<path d="M4 9v6h4l5 4V5L8 9z" fill="currentColor"/><path d="M16 9l6 6M22 9l-6 6" stroke="currentColor" stroke-width="1.8"/>',
};

export function icon(name) {
  const holder = document.createElement("span");
  holder.className = "icon";
  holder.setAttribute("aria-hidden", "true");
  const width = typeof name === "number" || /^\d/.test(name) ? 18 : 24;
  holder.innerHTML = `<svg viewBox="0 0 ${width} 24" width="${width * 0.8}" height="19">${drawings[name]}</svg>`;
  return holder;
}
