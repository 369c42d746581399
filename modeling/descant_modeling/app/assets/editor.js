// <descant-editor>: a melody as a piano roll, with an on-screen keyboard and keyboard shortcuts.
//
// Units: 16ths from the beginning of the melody; pitches are MIDI numbers. A note is [start, length, pitch].

import { audioContext, tone } from "./audio.js";
import { LiveRow } from "./live.js";
import { clamp, colorOf, h, icon, isBlack, noteName, s, sentenceOf, shadowOf } from "./parts.js";
import { StaffRow } from "./staff.js";
import { t } from "./texts.js";

const LOWEST = 48, HIGHEST = 88;
const SHOWN = [57, 81];
const ROW = 13, GUTTER = 38, RULER = 20;
const LENGTHS = [[16, t`whole note`, "7"], [8, t`half note`, "6"], [4, t`quarter note`, "5"], [2, t`eighth note`, "4"], [1, t`16th note`, "3"]];
const METERS = ["2/4", "3/4", "4/4", "3/8", "6/8", "9/8", "12/8", "2/2", "3/2"];
const KEYS = { c: 0, d: 2, e: 4, f: 5, g: 7, a: 9, b: 11 };

// The melody is kept in the browser's storage of this tab, for when the page is reloaded.
const KEPT = "descant-melody";

function remember(value) {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(value));
  } catch {
    // Storage that is full or switched off only costs the melody at a reload.
  }
}

function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT));
  } catch {
    return null;
  }
}

export class DescantEditor extends HTMLElement {
  constructor() {
    super();
    this.value = null;
    this.length = 4;
    this.dotted = false;
    this.at = 0; // position of the next note
    this.pitch = 67;
    this.chosen = null;
    this.past = [];
    this.onvalue = () => {};
    this.onfile = () => {};
  }

  connectedCallback() {
    if (this.shadowRoot) return;
    this.root = shadowOf(this);
    this.build();
  }

  // Load what the server or the page sends: a drawing, the token, the examples and the limits.
  load(value) {
    if (!value) return;
    this.value = structuredClone(value);
    this.played.answers = [];
    this.past = [];
    this.chosen = null;
    this.at = value.editable ? this.end() : 0;
    this.fillChoices();
    this.draw();
  }

  // Open the page: with what the server sends, or with the melody from before a reload. A file that the server no longer
  // has comes back as a drawing.
  open(value) {
    const kept = remembered();
    const isHere = kept?.token === value.token;
    if (!kept?.tracks[0]?.notes.length || !(isHere || kept.editable)) return this.load(value);
    const { token, examples, max_bars } = value;
    this.load({ ...kept, token, examples, max_bars, edited: kept.edited || !isHere });
    this.emit();
    this.onfile();
  }

  // Pass the value on, and keep it for when the page is reloaded.
  emit() {
    this.onvalue(this.value);
    remember(this.value);
  }

  get notes() {
    return this.value.tracks[0].notes;
  }

  get barLength() {
    const [beats, unit] = this.value.meter;
    return (16 * beats) / unit;
  }

  get step() {
    return this.dotted ? this.length * 1.5 : this.length;
  }

  end() {
    return Math.max(0, ...this.value.tracks.flatMap((track) => track.notes.map(([start, length]) => start + length)));
  }

  // ---- layout

  build() {
    this.examples = h("select", { "aria-label": t`Examples`, onchange: () => this.openExample() });
    this.picker = h("input", {
      type: "file",
      class: "hidden",
      tabindex: "-1",
      "aria-label": t`Melody file`,
      accept: ".mid,.midi,.xml,.musicxml,.mxl,.abc,.krn",
      onchange: () => this.upload(this.picker.files[0]),
    });
    this.playButton = h("button", { class: "button", onclick: () => this.togglePlay() }, icon("play"), t`Listen`);
    this.undoButton = h("button", { class: "button", onclick: () => this.undo() }, t`Undo`);
    const clear = h("button", { class: "button", onclick: () => this.clear() }, t`Clear`);
    const upload = h("button", { class: "button", onclick: () => this.picker.click() }, t`Upload a file`);
    this.lengthButtons = LENGTHS.map(([length, name, key]) =>
      h(
        "button",
        {
          class: "button square",
          "aria-label": name,
          title: `${name} (${key})`,
          onclick: () => this.setLength(length),
        },
        icon(length),
      ),
    );
    this.dotButton = h("button", { class: "button square", "aria-label": t`Dotted`, title: t`Dotted (.)`, onclick: () => this.toggleDot() }, "·");
    this.restButton = h("button", { class: "button", title: t`Rest (0)`, onclick: () => this.rest() }, t`Rest`);
    this.deleteButton = h("button", { class: "button", title: t`Delete (Backspace)`, onclick: () => this.remove() }, t`Delete`);
    this.meter = h("select", { onchange: () => this.change(() => (this.value.meter = this.meter.value.split("/").map(Number))) });
    this.meter.append(...METERS.map((name) => h("option", { value: name }, name)));
    this.pickup = h("select", { onchange: () => this.change(() => (this.value.pickup = Number(this.pickup.value))) });
    this.tempo = h("input", { type: "number", min: "20", max: "300", onchange: () => this.setTempo() });
    this.played = new LiveRow(this);
    this.staff = new StaffRow(this);
    this.gutter = s("svg", { class: "gutter", "aria-hidden": "true" });
    this.roll = s("svg", { class: "roll" });
    this.scroller = h(
      "div",
      {
        class: "scroller",
        tabindex: "0",
        role: "application",
        "aria-label":
          t`Melody. Letters a to g write notes, arrows move, Enter writes, Backspace deletes, 0 writes a rest, 3 to 7 choose a length.`,
        onkeydown: (event) => this.onKey(event),
      },
      this.roll,
    );
    this.roll.addEventListener("pointerdown", (event) => this.onPointerDown(event));
    this.roll.addEventListener("dblclick", () => this.remove());
    this.keyboard = h("div", { class: "keyboard", role: "group", "aria-label": t`Keyboard` });
    this.note = h("p", { class: "hint" });
    this.problem = h("p", { class: "problem", role: "alert" });
    this.live = h("p", { class: "visually-hidden", "aria-live": "polite" });
    this.tools = h(
      "div",
      { class: "bar" },
      h("span", { class: "group", role: "group", "aria-label": t`Length of the next note` }, ...this.lengthButtons, this.dotButton),
      this.restButton,
      this.deleteButton,
      h("label", { class: "field" }, t`Meter`, this.meter),
      h("label", { class: "field" }, t`Pickup`, this.pickup),
      h("label", { class: "field" }, t`Tempo`, this.tempo),
    );
    const frame = h(
      "div",
      { class: "editor", ondragover: (event) => event.preventDefault(), ondrop: (event) => this.onDrop(event) },
      h("div", { class: "bar" }, this.examples, upload, this.picker, this.playButton, this.undoButton, clear),
      this.problem,
      this.tools,
      h("div", { class: "paper" }, this.gutter, this.scroller),
      this.keyboard,
      this.note,
      this.live,
    );
    this.root.append(frame);
    frame.insertBefore(this.played.element, this.keyboard);
    frame.insertBefore(this.staff.element, this.played.element);
    this.buildKeyboard();
    this.setLength(4);
  }

  buildKeyboard() {
    for (let pitch = 60; pitch <= 84; pitch++) {
      this.keyboard.append(
        h(
          "button",
          {
            class: isBlack(pitch) ? "key black" : "key",
            "aria-label": noteName(pitch),
            tabindex: pitch === 60 ? "0" : "-1",
            "data-pitch": pitch,
            onclick: () => (this.played.state ? this.played.press(pitch) : this.write(pitch)),
            onkeydown: (event) => this.onPianoKey(event, pitch),
          },
          pitch % 12 === 0 ? h("span", {}, noteName(pitch)) : null,
        ),
      );
    }
  }

  fillChoices() {
    const names = this.value.examples ?? [];
    this.examples.hidden = names.length === 0;
    this.examples.replaceChildren(h("option", { value: "" }, t`Examples …`), ...names.map((name) => h("option", { value: name }, t(name))));
    this.examples.value = names.includes(this.value.title) && !this.value.edited ? this.value.title : "";
  }

  draw() {
    const { editable, tracks, meter } = this.value;
    this.tools.hidden = this.keyboard.hidden = this.played.element.hidden = !editable;
    this.undoButton.disabled = this.past.length === 0;
    this.meter.value = meter.join("/");
    this.tempo.value = this.value.tempo;
    const beat = 16 / meter[1];
    this.pickup.replaceChildren(
      ...Array.from({ length: this.barLength / beat }, (_, count) =>
        h("option", { value: count * beat }, count === 0 ? t`none` : count === 1 ? t`${count} beat` : t`${count} beats`),
      ),
    );
    if (this.value.pickup % beat) this.pickup.append(h("option", { value: this.value.pickup }, t`${this.value.pickup} 16ths`));
    this.pickup.value = String(this.value.pickup);
    const answers = this.played.boxes;
    const pitches = [...tracks.flatMap((track) => track.notes), ...answers].map((note) => note[2]);
    this.low = Math.min(SHOWN[0], ...pitches.map((pitch) => pitch - 1));
    this.high = Math.max(SHOWN[1], ...pitches.map((pitch) => pitch + 1));
    const lines = this.lines();
    this.cell = tracks.length > 1 ? 9 : 12;
    const width = lines.at(-1)[1] * this.cell + 2, height = (this.high - this.low + 1) * ROW + RULER;
    this.roll.replaceChildren(...this.rows(width), ...this.rules(lines, height), ...this.answerBoxes(answers), ...this.boxes());
    Object.entries({ width, height }).forEach(([name, size]) => this.roll.setAttribute(name, size));
    this.cursor = s("g", { class: "cursor" });
    this.playhead = s("line", { class: "playhead", y1: RULER, y2: height, x1: -9, x2: -9 });
    this.roll.append(this.cursor, this.playhead);
    this.drawGutter(height);
    this.drawCursor();
    this.note.textContent = this.hint();
    this.deleteButton.disabled = !this.notes.length;
    this.staff.update();
  }

  hint() {
    if (!this.value.editable) {
      const { title, tracks } = this.value;
      return tracks.length > 1
        ? t`“${title}” has ${tracks.length} tracks, so it is shown but cannot be edited; it is used unchanged. “Clear” starts a new drawing.`
        : t`“${title}” has notes finer than 16ths, or changes its meter, so it is shown but cannot be edited; it is used unchanged. “Clear” starts a new drawing.`;
    }
    if (matchMedia("(pointer: coarse)").matches) {
      return t`Tap the roll or the keys to write notes. Tap a note to choose it; “Delete” removes it.`;
    }
    return t`Click or drag in the roll, play the keys, or type a to g. Drag a note to move it, or its right edge to lengthen it.`;
  }

  // Bar lines as [number, place]; the last one ends the drawing area.
  lines() {
    if (!this.value.editable) {
      return [...this.value.lines, [0, this.end()]];
    }
    const lines = this.value.pickup ? [[0, 0]] : [];
    const number = Math.max(4, Math.ceil((this.end() - this.value.pickup) / this.barLength + 0.5));
    for (let bar = 0; bar <= number; bar++) lines.push([bar + 1, this.value.pickup + bar * this.barLength]);
    return lines;
  }

  y(pitch) {
    return RULER + (this.high - pitch) * ROW;
  }

  rows(width) {
    const rows = [];
    for (let pitch = this.low; pitch <= this.high; pitch++) {
      rows.push(s("rect", { x: 0, y: this.y(pitch), width, height: ROW, class: isBlack(pitch) ? "row dark" : "row" }));
      if (pitch % 12 === 0) rows.push(s("line", { x1: 0, x2: width, y1: this.y(pitch) + ROW, y2: this.y(pitch) + ROW, class: "octave" }));
    }
    return rows;
  }

  rules(lines, height) {
    const beat = 16 / this.value.meter[1];
    const made = [];
    lines.forEach(([number, place], index) => {
      const x = place * this.cell;
      const next = lines[index + 1]?.[1] ?? place;
      if (this.value.editable) {
        for (let at = place + beat; at < next; at += beat) made.push(s("line", { x1: at * this.cell, x2: at * this.cell, y1: RULER, y2: height, class: "beat" }));
      }
      made.push(s("line", { x1: x, x2: x, y1: 0, y2: height, class: "barline" }));
      if (index < lines.length - 1) made.push(s("text", { x: x + 4, y: 14, class: "number" }, String(number)));
    });
    return made;
  }

  // What play along answered; it is not part of the melody.
  answerBoxes(answers) {
    return answers.map(([start, length, pitch, fill]) =>
      s("rect", { x: start * this.cell + 0.5, y: this.y(pitch) + 0.5, width: Math.max(length * this.cell - 1.5, 2), height: ROW - 1, rx: 3, class: "answer", fill }),
    );
  }

  boxes() {
    return this.value.tracks.flatMap((track, index) =>
      track.notes.map((note) => {
        const [start, length, pitch] = note;
        const box = s("rect", {
          x: start * this.cell + 0.5,
          y: this.y(pitch) + 0.5,
          width: Math.max(length * this.cell - 1.5, 2),
          height: ROW - 1,
          rx: 3,
          class: note === this.chosen ? "note chosen" : "note",
          fill: this.value.tracks.length > 1 ? colorOf(track.name, index) : "var(--dsc-accent)",
        });
        box.note = note;
        return box;
      }),
    );
  }

  drawGutter(height) {
    this.gutter.replaceChildren();
    this.gutter.setAttribute("width", GUTTER);
    this.gutter.setAttribute("height", height);
    for (let pitch = this.low; pitch <= this.high; pitch++) {
      this.gutter.append(s("rect", { x: 0, y: this.y(pitch), width: isBlack(pitch) ? GUTTER * 0.6 : GUTTER, height: ROW, class: isBlack(pitch) ? "ivory ebony" : "ivory" }));
    }
    for (let pitch = this.low; pitch <= this.high; pitch++) {
      if (pitch % 12 === 0) this.gutter.append(s("text", { x: GUTTER - 4, y: this.y(pitch) + ROW - 3, class: "keyname" }, noteName(pitch)));
    }
  }

  drawCursor() {
    this.cursor.replaceChildren();
    if (!this.value.editable) return;
    const x = this.at * this.cell;
    this.cursor.append(
      s("line", { x1: x, x2: x, y1: RULER - 6, y2: this.roll.getAttribute("height"), class: "place" }),
      s("path", { d: `M${x - 5} ${RULER - 10}h10l-5 8z`, class: "flag" }),
      s("rect", { x, y: this.y(this.pitch), width: this.step * this.cell, height: ROW, rx: 3, class: "ghost" }),
    );
  }

  show(place) {
    const x = place * this.cell;
    const { scrollLeft, clientWidth } = this.scroller;
    if (x < scrollLeft || x > scrollLeft + clientWidth - 60) this.scroller.scrollLeft = x - clientWidth / 2;
  }

  // ---- editing

  change(edit) {
    this.played.answers = [];
    this.past.push(structuredClone(this.value));
    edit();
    this.value.edited = true;
    this.draw();
    this.emit();
  }

  undo() {
    const before = this.past.pop();
    if (!before) return;
    const isOther = before.source !== this.value.source || before.title !== this.value.title;
    this.value = before;
    this.chosen = null;
    this.at = Math.min(this.at, this.end());
    this.fillChoices();
    this.draw();
    this.emit();
    if (isOther) this.onfile();
  }

  clear() {
    this.stopPlaying();
    this.played.answers = [];
    this.say("");
    const { token, examples, max_bars } = this.value;
    this.past.push(structuredClone(this.value));
    this.value = {
      title: "My melody", meter: [4, 4], pickup: 0, tempo: 90, key: null, lines: [], editable: true, edited: true,
      tracks: [{ name: "Melody", notes: [] }], token, examples, max_bars,
    };
    this.chosen = null;
    this.at = 0;
    this.examples.value = "";
    this.draw();
    this.emit();
    this.onfile();
  }

  setLength(length) {
    this.length = length;
    this.lengthButtons.forEach((button, index) => button.setAttribute("aria-pressed", LENGTHS[index][0] === length));
    if (length === 1) this.dotted = false;
    this.dotButton.setAttribute("aria-pressed", this.dotted);
    this.dotButton.disabled = length === 1;
    if (this.value) this.drawCursor();
  }

  toggleDot() {
    this.dotted = !this.dotted && this.length > 1;
    this.dotButton.setAttribute("aria-pressed", this.dotted);
    this.drawCursor();
  }

  setTempo() {
    const tempo = clamp(Math.round(Number(this.tempo.value)) || 90, 20, 300);
    this.change(() => (this.value.tempo = tempo));
  }

  // Write a note at the cursor, and advance.
  write(pitch) {
    this.pitch = pitch;
    const start = this.at;
    if (!this.place([start, this.step, pitch])) return;
    this.at = start + this.step;
    this.draw();
    this.show(this.at);
    this.announce(t`${noteName(pitch)} written`);
  }

  place(note) {
    const [start, length, pitch] = note;
    if (start < 0 || start + length > this.value.max_bars * this.barLength) {
      this.say(t`The melody can have at most ${this.value.max_bars} bars.`);
      return false;
    }
    this.say("");
    this.change(() => {
      this.makeRoom(start, length, null);
      this.notes.push(note);
      this.notes.sort((a, b) => a[0] - b[0]);
      this.chosen = note;
    });
    tone(pitch, audioContext().currentTime, 0.35);
    return true;
  }

  // A melody has one note at a time: notes in the way are removed or shortened.
  makeRoom(start, length, but) {
    const kept = this.notes.filter((note) => note === but || note[0] < start || note[0] >= start + length);
    for (const note of kept) {
      if (note !== but && note[0] < start && note[0] + note[1] > start) note[1] = start - note[0];
    }
    this.value.tracks[0].notes = kept;
  }

  rest() {
    this.at += this.step;
    this.chosen = null;
    this.draw();
    this.show(this.at);
    this.announce(t`rest`);
  }

  remove() {
    if (!this.value.editable) return;
    const under = this.notes.find((note) => note[0] <= this.at && this.at < note[0] + note[1]);
    const before = this.notes.filter((note) => note[0] < this.at).at(-1);
    const gone = this.chosen ?? under ?? before;
    if (!gone) return;
    this.change(() => {
      this.value.tracks[0].notes = this.notes.filter((note) => note !== gone);
      this.chosen = null;
      this.at = gone[0];
    });
    this.announce(t`${noteName(gone[2])} deleted`);
  }

  onKey(event) {
    if (!this.value.editable) return;
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && key === "z") this.undo();
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (key in KEYS) this.write(this.nearest(KEYS[key]));
    else if (key === "arrowright") this.move(this.step);
    else if (key === "arrowleft") this.move(-this.step);
    else if (key === "arrowup") this.turn(event.shiftKey ? 12 : 1);
    else if (key === "arrowdown") this.turn(event.shiftKey ? -12 : -1);
    else if (key === "enter") this.write(this.pitch);
    else if (key === " ") this.togglePlay();
    else if (key === "backspace" || key === "delete") this.remove();
    else if (key === "0" || key === "r") this.rest();
    else if (key === ".") this.toggleDot();
    else if (LENGTHS.some((entry) => entry[2] === key)) this.setLength(LENGTHS.find((entry) => entry[2] === key)[0]);
    else return;
    event.preventDefault();
  }

  // The pitch with this pitch class that is nearest to the last one.
  nearest(pitchClass) {
    let best = null;
    for (let pitch = LOWEST; pitch <= HIGHEST; pitch++) {
      if (pitch % 12 === pitchClass && (best === null || Math.abs(pitch - this.pitch) < Math.abs(best - this.pitch))) best = pitch;
    }
    return best;
  }

  move(distance) {
    this.at = clamp(this.at + distance, 0, this.value.max_bars * this.barLength);
    this.chosen = this.notes.find((note) => note[0] === this.at) ?? null;
    if (this.chosen) this.pitch = this.chosen[2];
    this.draw();
    this.show(this.at);
    this.announce(this.chosen ? noteName(this.pitch) : t`empty`);
  }

  // Choose the note that sounds at a 16th.
  choose(at) {
    this.at = at;
    this.chosen = this.notes.find(([start, length]) => start <= at && at < start + length) ?? null;
    if (this.chosen) [this.at, , this.pitch] = this.chosen;
    this.draw();
    this.show(this.at);
    this.scroller.focus({ preventScroll: true });
    this.announce(this.chosen ? noteName(this.pitch) : t`empty`);
  }

  // Move the chosen note, or the cursor, up or down.
  turn(distance) {
    const pitch = clamp(this.pitch + distance, LOWEST, HIGHEST);
    const chosen = this.chosen;
    this.pitch = pitch;
    if (chosen) {
      this.change(() => (chosen[2] = pitch));
      tone(pitch, audioContext().currentTime, 0.3);
    } else {
      this.drawCursor();
    }
    this.announce(noteName(pitch));
  }

  onPianoKey(event, pitch) {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: 12, ArrowDown: -12 }[event.key];
    if (!step) return;
    event.preventDefault();
    const target = this.keyboard.querySelector(`[data-pitch="${clamp(pitch + step, 60, 84)}"]`);
    for (const key of this.keyboard.children) key.tabIndex = key === target ? 0 : -1;
    target.focus();
  }

  onPointerDown(event) {
    if (!this.value.editable || event.button !== 0) return;
    const box = this.roll.getBoundingClientRect();
    const place = (e) => (e.clientX - box.left) / this.cell;
    const pitchAt = (e) => this.high - Math.floor((e.clientY - box.top - RULER) / ROW);
    const snap = Math.min(this.length, 4);
    const touch = event.pointerType === "touch"; // a finger scrolls; a tap writes
    const hit = event.target.note;
    const moved = { x: event.clientX, y: event.clientY };
    const isTap = (e) => Math.hypot(e.clientX - moved.x, e.clientY - moved.y) < 8;
    if (event.clientY - box.top < RULER) {
      this.at = Math.max(Math.round(place(event) / snap) * snap, 0);
      this.chosen = null;
      this.draw();
      return;
    }
    if (!hit) {
      const write = (e) => {
        const pitch = pitchAt(e);
        if (pitch < LOWEST || pitch > HIGHEST) return;
        this.pitch = pitch;
        const start = Math.floor(place(e) / snap) * snap;
        const note = [start, this.step, pitch];
        if (!this.place(note)) return;
        this.at = start + this.step;
        this.draw();
        if (!touch) this.dragEnd(note, place, snap);
      };
      if (touch) addEventListener("pointerup", (e) => isTap(e) && write(e), { once: true });
      else write(event);
      return;
    }
    this.chosen = hit;
    this.pitch = hit[2];
    this.at = hit[0];
    this.draw();
    tone(hit[2], audioContext().currentTime, 0.3);
    if (!touch) this.drag(event, hit, place, pitchAt);
  }

  // Lengthen a new note while the pointer is dragged, in steps of its length or a beat, whichever is shorter.
  dragEnd(note, place, snap) {
    const [start, length] = note;
    const onMove = (e) => {
      const far = Math.ceil((place(e) - start) / snap) * snap;
      note[1] = clamp(far, Math.min(snap, length), this.value.max_bars * this.barLength - start);
      this.draw();
    };
    const onUp = () => {
      removeEventListener("pointermove", onMove);
      if (note[1] === length) return;
      this.makeRoom(start, note[1], note);
      this.at = start + note[1];
      this.draw();
      this.emit();
    };
    addEventListener("pointermove", onMove);
    addEventListener("pointerup", onUp, { once: true });
  }

  drag(event, note, place, pitchAt) {
    const [start, length] = note;
    const grip = place(event);
    const stretches = start + length - grip < Math.min(0.8, length / 3);
    const before = structuredClone(this.value);
    let hasMoved = false;
    const onMove = (e) => {
      if (stretches) note[1] = Math.max(Math.round(place(e) - start), 1);
      else {
        note[0] = Math.max(Math.round(start + place(e) - grip), 0);
        note[2] = clamp(pitchAt(e), LOWEST, HIGHEST);
      }
      hasMoved = true;
      this.draw();
    };
    const onUp = () => {
      removeEventListener("pointermove", onMove);
      if (!hasMoved) return;
      this.past.push(before);
      note[0] = Math.min(note[0], this.value.max_bars * this.barLength - note[1]);
      this.makeRoom(note[0], note[1], note);
      this.notes.sort((a, b) => a[0] - b[0]);
      this.value.edited = true;
      this.pitch = note[2];
      this.at = note[0] + note[1];
      this.draw();
      this.emit();
    };
    addEventListener("pointermove", onMove);
    addEventListener("pointerup", onUp, { once: true });
  }

  // ---- recording

  // Begin a new melody, in the meter and tempo shown.
  beginTake() {
    this.past.push(structuredClone(this.value));
    this.value.tracks[0].notes = [];
    Object.assign(this.value, { pickup: 0, edited: true, title: "My melody" });
    this.chosen = null;
    this.at = 0;
    this.draw();
  }

  // Write a note that is being played, or lengthen it.
  record(start, length, pitch, pickup) {
    const limit = this.value.max_bars * this.barLength;
    this.value.pickup = pickup;
    if (start >= limit) return this.say(t`The melody can have at most ${this.value.max_bars} bars. What follows is not written.`);
    const last = this.notes.at(-1);
    if (last?.[0] === start) last[1] = Math.min(length, limit - start);
    else {
      if (last) last[1] = Math.min(last[1], start - last[0]);
      this.notes.push([start, length, pitch]);
    }
    this.at = start + length;
    this.drawSoon();
  }

  // Drawing must not delay an answer that is on its way.
  drawSoon() {
    clearTimeout(this.drawing);
    this.drawing = setTimeout(() => this.draw(), 150);
  }

  follow(place) {
    this.playhead.setAttribute("x1", place * this.cell);
    this.playhead.setAttribute("x2", place * this.cell);
    this.show(Math.max(place, 0));
  }

  endTake() {
    clearTimeout(this.drawing);
    this.draw();
    this.emit();
  }

  // ---- listening

  togglePlay() {
    if (this.playing) this.stopPlaying();
    else this.startPlaying();
  }

  startPlaying() {
    const context = audioContext();
    const unit = 15 / this.value.tempo; // seconds of a 16th
    const begin = context.currentTime + 0.05;
    const tones = this.value.tracks.flatMap((track) =>
      track.notes.map(([start, length, pitch]) => tone(pitch, begin + start * unit, length * unit * 0.95, undefined, 0.12)),
    );
    if (!tones.length) return this.say(t`There is nothing to hear yet.`);
    this.playing = { tones, end: this.end() };
    this.playButton.replaceChildren(icon("stop"), t`Stop`);
    const follow = () => {
      if (!this.playing) return;
      const place = (context.currentTime - begin) / unit;
      this.playhead.setAttribute("x1", place * this.cell);
      this.playhead.setAttribute("x2", place * this.cell);
      this.show(place);
      if (place > this.playing.end) this.stopPlaying();
      else requestAnimationFrame(follow);
    };
    follow();
  }

  stopPlaying() {
    if (!this.playing) return;
    this.playing.tones.forEach((each) => each.stop());
    this.playing = null;
    this.playButton.replaceChildren(icon("play"), t`Listen`);
    this.draw();
  }

  // ---- files

  openExample() {
    if (this.examples.value) this.ask(`example?name=${encodeURIComponent(this.examples.value)}`, null);
  }

  onDrop(event) {
    event.preventDefault();
    if (event.dataTransfer.files.length) this.upload(event.dataTransfer.files[0]);
  }

  upload(file) {
    if (file) this.ask(`melody?name=${encodeURIComponent(file.name)}`, file);
    this.picker.value = "";
  }

  async ask(what, body) {
    this.stopPlaying();
    this.say("");
    this.setAttribute("aria-busy", "true");
    const response = await fetch(`descant/music/${this.value.token}/${what}`, { method: "POST", body });
    this.removeAttribute("aria-busy");
    if (!response.ok) return this.say(await sentenceOf(response));
    const { token, examples, max_bars } = this.value;
    const past = this.notes.length ? [...this.past, structuredClone(this.value)] : this.past;
    this.load({ ...(await response.json()), token, examples, max_bars });
    this.past = past;
    this.draw();
    if (past.length) this.note.textContent = `${t`“Undo” brings back what was here.`} ${this.hint()}`;
    this.scroller.scrollLeft = 0;
    this.emit();
    this.onfile();
    this.announce(t`${this.value.title} opened`);
  }

  say(sentence) {
    this.problem.textContent = sentence;
  }

  announce(text) {
    const bar = Math.floor((this.at - this.value.pickup) / this.barLength) + 1;
    this.live.textContent = t`${text}, bar ${Math.max(bar, 0)}`;
  }
}
