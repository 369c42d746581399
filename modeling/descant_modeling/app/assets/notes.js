// Single notes of a take: locked, moved, stretched, deleted and added in its piano roll.
//
// Units: ticks of the take. A note is {voice, onset, length, pitch, given, locked, origin}: `origin` is its onset and
// pitch in the take, null if it was added, `full` its length there; given notes are the user's own and stay.

import { audioContext, tone } from "./audio.js";
import { clamp, colorOf, h, noteName, s } from "./parts.js";
import { t } from "./texts.js";

export const ROW = 11; // of the roll while it is edited
const EDGE = 7; // pixels at the right end of a note by which it is stretched
const DOUBLE = 400; // milliseconds between two clicks that delete a note; its box is drawn again between them
const LOWEST = 24, HIGHEST = 96;

export class NoteEditor {
  // `facts` are those of the take; `onchange` is called after each change.
  constructor(facts, onchange) {
    this.facts = facts;
    this.onchange = onchange;
    this.notes = facts.notes.map(([voice, , , pitch, given], index) => {
      const [onset, length] = facts.ticks[index];
      return { voice, onset, length, pitch, given: Boolean(given), locked: false, origin: [onset, pitch], full: length };
    });
    this.deleted = [];
    this.chosen = null;
    this.step = facts.ticks_per_quarter / 4;
    this.end = facts.bars.at(-1).end_ticks;
    const free = facts.voices.map(({ name, own }, index) => [name, index, own]).filter(([, , own]) => !own);
    this.free = free.map(([, index]) => index);
    this.voice = h("select", { "aria-label": t`Voice of added notes` }, ...free.map(([name, index]) => h("option", { value: index }, t(name))));
    this.live = h("p", { class: "visually-hidden", "aria-live": "polite" });
  }

  get hasChanges() {
    return this.deleted.length > 0 || this.notes.some((note) => this.isChanged(note));
  }

  get numLocked() {
    return this.notes.filter((note) => note.locked).length;
  }

  isChanged({ onset, length, pitch, origin, full }) {
    return !origin || onset !== origin[0] || pitch !== origin[1] || length !== full;
  }

  // What the server needs: locked notes as [voice, onset, pitch], changes as [voice, before or null, after or null].
  get payload() {
    const name = (note) => this.facts.voices[note.voice].name;
    const changes = [
      ...this.deleted.map((note) => [name(note), note.origin, null]),
      ...this.notes.filter((note) => this.isChanged(note)).map((note) => [name(note), note.origin, [note.onset, note.length, note.pitch]]),
    ];
    return { notes: this.notes.filter((note) => note.locked).map((note) => [name(note), note.onset, note.pitch]), changes };
  }

  // ---- drawing

  seconds(ticks) {
    const bar = this.facts.bars.find((each) => ticks < each.end_ticks) ?? this.facts.bars.at(-1);
    return bar.start + ((ticks - bar.start_ticks) * (bar.end - bar.start)) / (bar.end_ticks - bar.start_ticks);
  }

  ticks(seconds) {
    const bar = this.facts.bars.find((each) => seconds < each.end) ?? this.facts.bars.at(-1);
    return bar.start_ticks + ((seconds - bar.start) * (bar.end_ticks - bar.start_ticks)) / (bar.end - bar.start);
  }

  boxes(scale, high, row) {
    return this.notes.map((note) => {
      const start = this.seconds(note.onset) * scale, end = this.seconds(note.onset + note.length) * scale;
      const kinds = ["box", "free", note.given && "given", note.locked && "locked", note === this.chosen && "chosen"];
      const box = s("rect", {
        x: start + 0.5, y: (high - note.pitch) * row + 0.5, width: Math.max(end - start - 1.5, 2), height: row - (row > 6), rx: 1.5,
        fill: colorOf(this.facts.voices[note.voice].name, note.voice), class: kinds.filter(Boolean).join(" "),
      });
      box.note = note;
      return box;
    });
  }

  // ---- the mouse

  // `place` gives the seconds and the pitch under the pointer.
  onPointerDown(event, place, scale) {
    if (event.button !== 0) return;
    event.preventDefault();
    const note = event.target.note;
    const sinceTap = performance.now() - (this.tapped?.time ?? -Infinity);
    if (!note) return sinceTap < DOUBLE ? undefined : this.add(...place(event));
    this.chosen = note;
    this.sound(note);
    if (note.given) return this.changed();
    const [seconds, pitch] = place(event);
    const { onset, length, pitch: before } = note;
    const stretches = this.seconds(onset + length) - seconds < EDGE / scale;
    let hasMoved = false;
    const onMove = (moved) => {
      const [to, toPitch] = place(moved);
      const far = this.snap(this.ticks(Math.max(to, 0)) - this.ticks(seconds));
      const goal = stretches
        ? [onset, Math.max(length + far, this.step), before]
        : [clamp(onset + far, 0, this.end - length), length, clamp(before + toPitch - pitch, LOWEST, HIGHEST)];
      if (goal[0] === note.onset && goal[1] === note.length && goal[2] === note.pitch) return;
      hasMoved = true;
      [note.onset, note.length, note.pitch] = goal;
      this.onchange();
    };
    const onUp = () => {
      removeEventListener("pointermove", onMove);
      if (hasMoved) return this.settle(note);
      const isSecond = this.tapped?.note === note && sinceTap < DOUBLE;
      this.tapped = { note, time: performance.now() };
      if (isSecond) this.remove();
      else this.toggleLock(note);
    };
    addEventListener("pointermove", onMove);
    addEventListener("pointerup", onUp, { once: true });
    this.onchange();
  }

  snap(ticks) {
    return Math.round(ticks / this.step) * this.step;
  }

  // ---- the keyboard

  onKey(event) {
    const moves = { ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      const step = event.key === "ArrowRight" ? 1 : -1;
      if (event.shiftKey) this.move(step * this.step, 0);
      else this.chooseNext(step);
    } else if (event.key in moves) this.move(...moves[event.key]);
    else if (event.key === "Enter" || event.key === " ") this.chosen && this.toggleLock(this.chosen);
    else if (event.key === "Delete" || event.key === "Backspace") this.remove();
    else if (event.key === "Insert" || event.key === "+") this.addAfter();
    else return;
    event.preventDefault();
  }

  chooseNext(step) {
    const order = [...this.notes].sort((a, b) => a.onset - b.onset || a.voice - b.voice);
    const index = this.chosen ? order.indexOf(this.chosen) + step : 0;
    this.chosen = order[clamp(index, 0, order.length - 1)];
    this.sound(this.chosen);
    this.changed();
  }

  move(ticks, semitones) {
    const note = this.chosen;
    if (!note || note.given) return this.announce(t`This note is yours; it stays.`);
    note.onset = clamp(note.onset + ticks, 0, this.end - note.length);
    note.pitch = clamp(note.pitch + semitones, LOWEST, HIGHEST);
    this.settle(note);
    this.sound(note);
  }

  // ---- changes

  toggleLock(note) {
    if (!note.given) note.locked = !note.locked;
    this.changed();
  }

  // A changed note is kept; a voice has one note at a time, so those in its way give room.
  settle(note) {
    note.locked = true;
    const end = note.onset + note.length;
    for (const other of this.notes.filter((each) => each.voice === note.voice && each !== note)) {
      const stop = other.onset + other.length;
      if (stop <= note.onset || other.onset >= end) continue;
      if (other.given) continue; // the server says so
      if (other.onset < note.onset) other.length = note.onset - other.onset;
      else if (stop > end) [other.onset, other.length] = [end, stop - end];
      else this.drop(other);
    }
    this.chosen = note;
    this.changed();
  }

  add(seconds, pitch) {
    if (pitch < LOWEST || pitch > HIGHEST || !this.free.length) return;
    const onset = Math.floor(this.ticks(Math.max(seconds, 0)) / this.step) * this.step;
    const length = Math.min(4 * this.step, this.end - onset);
    const note = { voice: Number(this.voice.value), onset, length, pitch, given: false, locked: true, origin: null };
    this.notes.push(note);
    this.sound(note);
    this.settle(note);
  }

  addAfter() {
    const after = this.chosen;
    this.add(after ? this.seconds(after.onset + after.length) : 0, after?.pitch ?? 60);
  }

  remove() {
    if (!this.chosen || this.chosen.given) return;
    const note = this.chosen;
    this.chosen = null;
    this.drop(note);
    this.changed();
  }

  drop(note) {
    this.notes = this.notes.filter((each) => each !== note);
    if (note.origin) this.deleted.push(note);
  }

  sound(note) {
    tone(note.pitch, audioContext().currentTime, 0.3);
  }

  changed() {
    this.onchange();
    const note = this.chosen;
    if (note) this.announce(`${t(this.facts.voices[note.voice].name)} ${noteName(note.pitch)}${note.given ? t`, yours` : note.locked ? t`, kept` : ""}`);
  }

  announce(text) {
    this.live.textContent = text;
  }
}
