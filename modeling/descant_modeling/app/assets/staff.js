// The melody as notes on a staff, engraved by the server a moment after each change.

import { h, sentenceOf } from "./parts.js";
import { t } from "./texts.js";

const PAUSE = 400; // milliseconds without a change before the melody is engraved again
const TALL = 960; // pixels of a window in which the staff is open at first

export class StaffRow {
  // `editor` is the <descant-editor>: its value is engraved, and its `choose` is called with the 16th of a clicked note.
  constructor(editor) {
    this.editor = editor;
    this.sheet = h("div", { class: "sheet", role: "img", "aria-label": t`The melody on a staff`, onclick: (event) => this.onClick(event) });
    this.element = h(
      "details",
      { class: "live staff", open: window.innerHeight >= TALL, ontoggle: () => this.update() },
      h("summary", {}, t`On a staff: your melody as notes`),
      h("div", { class: "score" }, this.sheet),
    );
    this.shown = "";
    this.notes = [];
  }

  // Engrave the melody, unless it is shown already.
  update() {
    const { value } = this.editor;
    if (!this.element.open || !value) return;
    const { title, token, examples, max_bars, ...music } = value;
    const wanted = JSON.stringify(music);
    if (wanted === this.shown) return;
    this.shown = wanted;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.fetch(wanted), PAUSE);
  }

  async fetch(wanted) {
    const { value } = this.editor;
    if (!value.tracks.some((track) => track.notes.length)) return this.show("", []);
    const width = Math.round(this.sheet.clientWidth || 900);
    const response = await fetch(`descant/music/${value.token}/staff?width=${width}`, {
      method: "POST", body: JSON.stringify(value), headers: { "Content-Type": "application/json" },
    });
    if (wanted !== this.shown) return;
    if (!response.ok) return this.show("", [], await sentenceOf(response));
    const { svg, notes } = await response.json();
    this.show(svg, notes);
  }

  show(svg, notes, sentence = "") {
    this.sheet.innerHTML = svg;
    this.sheet.append(sentence);
    this.notes = notes.map(([id, start]) => ({ element: this.sheet.querySelector(`#${CSS.escape(id)}`), start })).filter((note) => note.element);
  }

  // Choose the nearest note.
  onClick({ clientX, clientY }) {
    const distance = ({ element }) => {
      const { x, y, width, height } = element.getBoundingClientRect();
      return Math.hypot(clientX - x - width / 2, clientY - y - height / 2);
    };
    const [nearest] = this.notes.toSorted((a, b) => distance(a) - distance(b));
    if (nearest && this.editor.value.editable) this.editor.choose(Math.round((nearest.start * this.editor.value.tempo) / 15));
  }
}
