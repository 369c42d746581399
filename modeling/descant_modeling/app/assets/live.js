// A MIDI keyboard for the editor: record with a metronome, or play along with the other voices.
//
// Units: seconds of the audio clock, and 16ths from the first bar line after the count-in (before it, negative).

import { audioContext, click, tone } from "./audio.js";
import { VOICE_COLORS, h, noteName } from "./parts.js";
import { t } from "./texts.js";

const TONICS = ["C", "G", "D", "A", "E", "B", "F#", "F", "B flat", "E flat", "A flat", "D flat"];
const MINORS = ["A", "E", "B", "F#", "C#", "G#", "D#", "D", "G", "C", "F", "B flat"];
const KEYS = [...TONICS.map((tonic) => `${tonic} major`), ...MINORS.map((tonic) => `${tonic} minor`)];
const LONGEST = 30; // seconds of a tone that nobody ends
const AHEAD = 0.4; // seconds for which clicks are scheduled

export class LiveRow {
  // `editor` is the <descant-editor>: it shows the notes, and knows meter and tempo.
  constructor(editor) {
    this.editor = editor;
    this.state = ""; // "record" or "along" while it runs
    this.inputs = [];
    this.answers = [];
    this.latencies = []; // milliseconds from a key to the three other voices
    this.modelTimes = []; // of these, milliseconds of the model
    this.connectButton = h("button", { class: "button", onclick: () => this.connect() }, t`Connect a MIDI keyboard`);
    this.recordButton = h("button", { class: "button", onclick: () => this.toggle("record") }, t`Record`);
    this.alongButton = h("button", { class: "button", onclick: () => this.toggle("along") }, t`Play along`);
    this.metronome = h("input", { type: "checkbox", checked: true });
    this.key = h("select", { "aria-label": t`Key of what you play` }, h("option", { value: "" }, t`not told`), ...KEYS.map((name) => h("option", { value: name }, t(name))));
    this.status = h("p", { class: "hint", role: "status", "aria-label": t`Live` });
    this.element = h(
      "details",
      { class: "live" },
      h("summary", {}, t`Play it: MIDI keyboard, recording, play along`),
      h(
        "div",
        { class: "bar" },
        this.connectButton,
        this.recordButton,
        this.alongButton,
        h("label", { class: "field" }, this.metronome, t`Metronome`),
        h("label", { class: "field" }, t`Key`, this.key),
      ),
      h("p", { class: "hint" }, t`A bar is counted in; meter and tempo are those above. Notes are moved to the nearest 16th. Play along answers every note with alto, tenor and bass; the keys on the screen work too.`),
      this.status,
    );
  }

  say(text) {
    this.status.textContent = text;
  }

  // ---- the keyboard

  async connect() {
    if (!navigator.requestMIDIAccess) return this.say(t`This browser has no MIDI. Use the keys on the screen, or Chrome, Edge or Firefox.`);
    try {
      this.access = await navigator.requestMIDIAccess();
    } catch {
      return this.say(t`MIDI was not allowed. Allow it for this page, or use the keys on the screen.`);
    }
    this.access.onstatechange = () => this.listen();
    this.listen();
  }

  listen() {
    this.inputs = [...this.access.inputs.values()];
    for (const input of this.inputs) input.onmidimessage = (event) => this.onMidi(event);
    this.say(this.inputs.length ? t`Connected: ${this.inputs.map((input) => input.name).join(", ")}.` : t`No keyboard is plugged in. Plug one in; it is found at once.`);
  }

  onMidi(event) {
    const [status, pitch, velocity] = event.data;
    const kind = status & 0xf0;
    if (kind === 0x90 && velocity > 0) this.press(pitch, event.timeStamp);
    else if (kind === 0x80 || kind === 0x90) this.release(pitch, event.timeStamp);
  }

  // ---- starting and stopping

  toggle(state) {
    if (this.state) this.stop();
    else this.start(state);
  }

  async start(state) {
    this.editor.stopPlaying();
    const { meter, tempo } = this.editor.value;
    if (state === "along" && !(await this.open(meter))) return;
    this.state = state;
    this.unit = 15 / tempo;
    this.beat = meter[1] >= 8 && meter[0] % 3 === 0 ? 48 / meter[1] : 16 / meter[1];
    this.bar = this.editor.barLength;
    this.began = audioContext().currentTime + 0.1 + this.bar * this.unit;
    this.clicked = -this.bar;
    this.held = null;
    this.pickup = null; // known with the first note
    this.answers = [];
    this.latencies = [];
    this.modelTimes = [];
    this.tones = [];
    this.editor.beginTake();
    this.timer = setInterval(() => this.tick(), 100);
    this.tick();
    this.show();
  }

  stop() {
    clearInterval(this.timer);
    if (this.held?.end === null) this.endNote(this.placeOf(performance.now()));
    this.silence();
    this.socket?.close();
    this.socket = null;
    this.state = "";
    this.editor.endTake();
    this.show();
    this.say(this.latencies.length ? t`${this.latencies.length} notes were answered. Harmonize writes the voices again, with the whole tune in view.` : "");
  }

  show() {
    this.recordButton.textContent = this.state === "record" ? t`Stop recording` : t`Record`;
    this.alongButton.textContent = this.state === "along" ? t`Stop playing` : t`Play along`;
    this.recordButton.disabled = this.state === "along";
    this.alongButton.disabled = this.state === "record";
  }

  tick() {
    const until = audioContext().currentTime + AHEAD;
    for (; this.began + this.clicked * this.unit < until; this.clicked += this.beat) {
      if (this.metronome.checked) click(this.began + this.clicked * this.unit, this.clicked % this.bar === 0);
    }
    this.editor.follow((audioContext().currentTime - this.began) / this.unit + (this.pickup ?? 0));
  }

  // ---- notes

  placeOf(timeStamp) {
    const seconds = audioContext().currentTime - (performance.now() - timeStamp) / 1000;
    return Math.round((seconds - this.began) / this.unit);
  }

  press(pitch, timeStamp = performance.now()) {
    if (!this.state) return tone(pitch, audioContext().currentTime, 0.5);
    const place = this.placeOf(timeStamp);
    this.pickup ??= place < 0 ? Math.min(Math.ceil(-place / this.beat) * this.beat, this.bar) : 0;
    const onset = Math.max(place, -this.pickup, this.held ? this.held.onset + 1 : -this.pickup);
    this.endNote(onset);
    this.held = { onset, pitch, end: null };
    if (this.socket) this.socket.send(JSON.stringify({ onset: onset + (this.pickup ? this.bar : 0), pitch }));
    this.waiting?.push([pitch, onset, timeStamp]);
    this.silence();
    this.tones = [tone(pitch, audioContext().currentTime, LONGEST)];
    this.editor.record(onset + this.pickup, 1, pitch, this.pickup);
  }

  release(pitch, timeStamp = performance.now()) {
    if (!this.state || this.held?.pitch !== pitch || this.held.end !== null) return;
    const end = (this.held.end = Math.max(this.placeOf(timeStamp), this.held.onset + 1));
    this.setLength(end);
    this.tones[0]?.release();
    if (this.socket) this.socket.send(JSON.stringify({ end: end + (this.pickup ? this.bar : 0) }));
  }

  // A note ends where the next one begins, if it is still held.
  endNote(place) {
    if (this.held) this.setLength(Math.min(this.held.end ?? Infinity, Math.max(place, this.held.onset + 1)));
  }

  setLength(end) {
    const { onset, pitch } = this.held;
    this.editor.record(onset + this.pickup, end - onset, pitch, this.pickup);
    for (const answer of this.answers) {
      if (answer[0] === onset + this.pickup) answer[1] = end - onset;
    }
  }

  silence() {
    this.tones?.forEach((each) => each.release());
    this.tones = [];
  }

  // ---- the other voices

  open([beats, unit]) {
    this.waiting = [];
    const address = new URL("descant/live", document.baseURI);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    return new Promise((resolve) => {
      socket.onopen = () => socket.send(JSON.stringify({ meter: [beats, unit], ...(this.key.value && { key: this.key.value }) }));
      socket.onclose = () => {
        if (this.socket === socket) this.stop();
        else if (!this.status.textContent) this.say(t`The connection could not be opened. Start the page again.`);
        resolve(false);
      };
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.error) return this.say(message.error);
        if (!message.ready) return this.answer(message);
        this.socket = socket;
        this.say("");
        resolve(true);
      };
    });
  }

  answer({ pitch, voices, milliseconds }) {
    const [, onset, timeStamp] = this.waiting.shift();
    const isPresent = this.held?.onset === onset;
    const now = audioContext().currentTime;
    if (isPresent) this.tones.push(...Object.values(voices).map((each) => tone(each, now, LONGEST, undefined, 0.1)));
    this.latencies.push(performance.now() - timeStamp);
    this.modelTimes.push(milliseconds);
    const start = onset + this.pickup;
    const length = this.editor.notes.find((note) => note[0] === start)?.[1] ?? 1;
    const isShown = start < this.editor.value.max_bars * this.bar; // as far as the melody is
    if (isShown) this.answers.push(...Object.entries(voices).map(([name, each]) => [start, length, each, name]));
    this.editor.drawSoon();
    const names = Object.entries(voices).map(([name, each]) => `${t(name)} ${noteName(each)}`);
    this.say(`${t("Soprano")} ${noteName(pitch)}, ${names.join(", ")}: ${Math.round(this.latencies.at(-1))} ms.`);
  }

  // The answers as boxes for the roll: [start, length, pitch, color].
  get boxes() {
    return this.answers.map(([start, length, pitch, name]) => [start, length, pitch, VOICE_COLORS[name]]);
  }
}
