// The engraved score with a cursor: sounding notes are highlighted, and a line moves between them.

import { h, isCalm } from "./parts.js";

const MAX_SCREEN_SHARE = 0.74, MIN_HEIGHT = 320, BELOW = 14;

export class ScoreView {
  // `paper` is the element that scrolls; `onseek` takes the seconds of a clicked place.
  constructor(paper, onseek) {
    this.paper = paper;
    this.sheet = h("div", { class: "sheet" });
    this.line = h("div", { class: "line", hidden: true });
    this.paper.append(h("div", { class: "page" }, this.sheet, this.line));
    this.notes = [];
    this.places = [];
    this.sounding = new Set();
    this.sheet.addEventListener("click", (event) => {
      const place = this.nearest(event.clientX, event.clientY);
      if (place) onseek(place.start);
    });
  }

  // `notes` are [id in the SVG, start, end] in seconds.
  show(svg, notes) {
    this.sheet.innerHTML = svg;
    this.sounding.clear();
    this.notes = notes
      .map(([id, start, end]) => ({ element: this.sheet.querySelector(`#${CSS.escape(id)}`), start, end }))
      .filter((note) => note.element);
    this.measure();
    this.fit();
    this.point(this.now ?? 0, false);
  }

  // Make the paper as high as the systems that fit on the screen, so that none is cut at first sight.
  fit() {
    const most = MAX_SCREEN_SHARE * window.innerHeight;
    const whole = this.sheet.getBoundingClientRect().height + BELOW;
    const bottoms = this.places.map((place) => place.bottom + BELOW).filter((bottom) => bottom <= most);
    this.paper.style.maxHeight = `${whole <= most || !bottoms.length ? Math.max(most, MIN_HEIGHT) : Math.max(...bottoms)}px`;
  }

  // The position of each onset: { start, x, top, bottom, right } in pixels of the sheet.
  measure() {
    const origin = this.sheet.getBoundingClientRect();
    const places = new Map();
    for (const { element, start } of this.notes) {
      const system = element.closest(".system");
      const box = element.getBoundingClientRect();
      const known = places.get(start);
      const x = box.left + Math.min(box.width / 2, 6) - origin.left;
      if (known) known.x = Math.min(known.x, x);
      else places.set(start, { start, x, system });
    }
    const boxes = new Map();
    this.places = [...places.values()].sort((a, b) => a.start - b.start);
    for (const place of this.places) {
      if (!boxes.has(place.system)) boxes.set(place.system, place.system.getBoundingClientRect());
      const box = boxes.get(place.system);
      Object.assign(place, { top: box.top - origin.top, bottom: box.bottom - origin.top, right: box.right - origin.left });
    }
    this.end = Math.max(0, ...this.notes.map((note) => note.end));
  }

  nearest(clientX, clientY) {
    const origin = this.sheet.getBoundingClientRect();
    const x = clientX - origin.left, y = clientY - origin.top;
    const distance = (place) => Math.abs(place.x - x) + 4 * Math.max(place.top - y, y - place.bottom, 0);
    return this.places.reduce((best, place) => (!best || distance(place) < distance(best) ? place : best), null);
  }

  // Show a moment; `follows` keeps it visible.
  point(seconds, follows) {
    this.now = seconds;
    for (const note of this.notes) {
      const sounds = follows && note.start <= seconds && seconds < note.end;
      if (sounds !== this.sounding.has(note)) {
        note.element.classList.toggle("sounding", sounds);
        this.sounding[sounds ? "add" : "delete"](note);
      }
    }
    const index = this.places.findLastIndex((place) => place.start <= seconds + 1e-3);
    const place = this.places[Math.max(index, 0)];
    this.line.hidden = !place;
    if (!place) return;
    const next = this.places[index + 1];
    const isSameSystem = next?.system === place.system;
    const until = next?.start ?? this.end;
    const share = Math.min(Math.max((seconds - place.start) / Math.max(until - place.start, 1e-3), 0), 1);
    const x = place.x + share * ((isSameSystem ? next.x : place.right) - place.x);
    Object.assign(this.line.style, { left: `${x}px`, top: `${place.top}px`, height: `${place.bottom - place.top}px` });
    if (follows) this.keepInSight(place);
  }

  keepInSight(place) {
    const { scrollTop, clientHeight } = this.paper;
    if (place.top < scrollTop || place.bottom > scrollTop + clientHeight) {
      this.paper.scrollTo({ top: place.top - 10, behavior: isCalm() ? "auto" : "smooth" });
    }
  }
}
