// <descant-player>: the takes. Score, piano roll, sound, locks, and voice leading compared with Bach.
//
// Units: seconds as played, pixels on the screen. A note is [voice, start, end, pitch, given].

import { Mixer } from "./audio.js";
import { FaultList } from "./faults.js";
import { ROW as EDIT_ROW, NoteEditor } from "./notes.js";
import { clock, colorOf, h, icon, isCalm, noteName, s, sentenceOf, shadowOf } from "./parts.js";
import { PracticeRow } from "./practice.js";
import { ScoreView } from "./score.js";
import { t } from "./texts.js";

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const ROW = 5, MIN_BAR = 34;
const TEMPOS = [50, 60, 70, 80, 90, 100, 110, 125]; // percent
const FILES = [["midi", "MIDI"], ["musicxml", "MusicXML"], ["pdf", "PDF"], ["mp3", "MP3"]];
const PLAN_HINT =
  t`Written before the voices. Change any chord: C, F#m, Bb7, or C/E with the third in the bass. Chords of a bar share its beats; an empty bar is the model's. Locked bars and voices stay.`;

export class DescantPlayer extends HTMLElement {
  constructor() {
    super();
    this.value = { takes: [] };
    this.facts = null;
    this.locks = new Map(); // of each take: { bars, voices }
    this.edits = new Map(); // of each take: its NoteEditor
    this.isEditing = false;
    this.staves = matchMedia("(max-width: 640px)").matches ? "closed" : "open";
    this.onagain = () => {};
    this.onmend = () => {};
  }

  connectedCallback() {
    if (this.shadowRoot) return;
    this.root = shadowOf(this);
    this.mixer = new Mixer(() => this.showPlaying());
    this.build();
    new ResizeObserver(() => this.onResize()).observe(this);
  }

  async load(value) {
    if (!value?.takes) return;
    const isNew = Boolean(this.value.token) && !this.locks.has(value.active);
    this.value = value;
    this.hidden = value.takes.length === 0;
    if (this.hidden) return;
    this.download.href = `descant/music/${value.token}/all.zip`;
    this.drawTabs();
    await this.choose(value.active);
    if (isNew) this.scrollIntoView({ block: "start", behavior: isCalm() ? "auto" : "smooth" });
  }

  // Current loudness, 0-1.
  get level() {
    return this.mixer.level();
  }

  // ---- layout

  build() {
    this.tabs = h("div", { class: "tabs", role: "tablist", "aria-label": t`Takes`, onkeydown: (event) => this.onTabKey(event) });
    this.made = h("p", { class: "made" });
    this.playButton = h("button", { class: "button primary play", onclick: () => this.toggle() }, icon("play"), t`Play`);
    this.slider = h("input", {
      type: "range", min: "0", step: "0.01", value: "0", class: "position", "aria-label": t`Position`,
      oninput: () => this.seek(Number(this.slider.value)),
    });
    this.time = h("span", { class: "time" });
    this.stavesButton = h("button", { class: "button", onclick: () => this.toggleStaves() });
    this.volume = h("input", {
      type: "range", min: "0", max: "1", step: "0.01", value: "1", class: "volume", "aria-label": t`Volume`,
      oninput: () => this.mixer.setVolume(Number(this.volume.value)),
    });
    this.tempo = h("select", { "aria-label": t`Tempo of the sound`, onchange: () => this.setTempo() }, ...TEMPOS.map((percent) => h("option", { value: percent }, `${percent} %`)));
    this.tempo.value = "100";
    this.files = FILES.map(([form, name]) => [form, h("a", { class: "button", download: true }, name)]);
    this.print = h("a", { class: "button", target: "_blank" }, t`Print`);
    this.download = h("a", { class: "button", download: true }, t`Download everything`);
    this.voices = h("div", { class: "voices", role: "group", "aria-label": t`Voices` });
    this.remark = h("p", { class: "remark", role: "status" });
    this.paper = h("div", { class: "score", tabindex: "0", role: "img", "aria-label": t`Score` });
    this.score = new ScoreView(this.paper, (seconds) => this.seek(seconds));
    this.locksRow = h("div", { class: "locks", role: "group", "aria-label": t`Bars to keep` });
    this.roll = s("svg", { class: "roll", role: "img", "aria-label": t`Piano roll` });
    this.rollScroller = h("div", { class: "scroller" }, this.locksRow, this.roll);
    this.roll.addEventListener("click", (event) => this.isEditing || this.seek(this.placeOf(event)[0]));
    this.roll.addEventListener("pointerdown", (event) => this.isEditing && this.notes.onPointerDown(event, (e) => this.placeOf(e), this.scale));
    this.rollScroller.addEventListener("keydown", (event) => this.isEditing && event.target === this.rollScroller && this.notes.onKey(event));
    this.editButton = h("button", { class: "button", "aria-pressed": false, onclick: () => this.toggleEditing() }, t`Edit notes`);
    this.useButton = h("button", { class: "button", onclick: () => this.askAgain(null, true) }, t`Use my edits`);
    this.editBar = h("span", { class: "bar" });
    this.editHint = h(
      "p",
      { class: "hint", hidden: true },
      t`Click a note to keep it, drag it to move it or its right edge to stretch it, double-click to delete, click an empty place to add one. By keys: arrows choose and move (Shift: in time), Enter keeps, Delete deletes, + adds.`,
    );
    this.again = h("button", { class: "button primary again", onclick: () => this.askAgain() }, t`Write another take`);
    this.keeps = h("p", { class: "hint", "aria-live": "polite" });
    this.rules = h("div", { class: "rules" });
    this.faults = new FaultList({
      onplace: (seconds) => this.showPlace(seconds),
      onmend: (faults) => this.onmend({ number: this.facts.number, faults, ...this.locked() }),
      onmark: () => this.drawScore(),
    });
    this.practice = new PracticeRow((query) => this.address(`${this.facts.number}/practice.zip?${query}`));
    this.chords = h("div", { class: "chords", role: "group", "aria-label": t`Chords of each bar` });
    this.planned = h("p", { class: "hint" });
    this.rewriteButton = h("button", { class: "button rewrite", onclick: () => this.askAgain(this.chosenChords()) }, t`Harmonize with these chords`);
    this.plan = h(
      "section",
      { class: "plan" },
      h("h3", {}, t`The plan: chords of each bar`),
      this.planned,
      this.chords,
      h("div", { class: "bar" }, this.rewriteButton, h("p", { class: "hint" }, PLAN_HINT)),
    );
    this.panel = h(
      "div",
      { role: "tabpanel", class: "panel" },
      this.made,
      h("div", { class: "bar transport" }, this.playButton, this.slider, this.time, h("label", { class: "field" }, t`Tempo`, this.tempo), h("label", { class: "field" }, t`Volume`, this.volume), this.stavesButton),
      this.voices,
      this.remark,
      this.paper,
      h("div", { class: "bar files", role: "group", "aria-label": t`Files of this take` }, ...this.files.map(([, link]) => link), this.print, this.download),
      this.faults.element,
      this.plan,
      h("h3", {}, t`Keep what you like`),
      h("div", { class: "bar" }, this.editButton, this.editBar, this.useButton),
      this.editHint,
      this.rollScroller,
      h("div", { class: "bar ask" }, this.again, this.keeps),
      h("h3", {}, t`Voice leading, compared with Bach`),
      this.rules,
      this.practice.element,
    );
    this.root.append(h("div", { class: "player" }, this.tabs, this.panel));
    this.hidden = true;
  }

  drawTabs() {
    this.tabs.replaceChildren(
      ...this.value.takes.map(({ number, name }) =>
        h("button", { role: "tab", class: "tab", id: `tab-${number}`, "data-number": number, onclick: () => this.choose(number) }, name),
      ),
    );
  }

  async choose(number) {
    const before = this.facts;
    const response = await fetch(this.address(`${number}.json`));
    if (!response.ok) return this.say(await sentenceOf(response));
    this.facts = await response.json();
    this.inherit(before);
    for (const tab of this.tabs.children) {
      const isActive = Number(tab.dataset.number) === number;
      tab.setAttribute("aria-selected", isActive);
      tab.tabIndex = isActive ? 0 : -1;
    }
    const { voices, notes, bars } = this.facts;
    const seconds = Math.max(...notes.map((note) => note[2]), bars.at(-1).end);
    this.mixer.load(voices.map((voice) => voice.name), notes, seconds, (name, tempo) => this.address(`${number}/${encodeURIComponent(name)}.flac?tempo=${100 * tempo}`));
    this.slider.max = seconds;
    this.made.textContent = [`${t(this.facts.title)}, ${this.facts.made}`, ...this.facts.remarks.map(capital)].join(". ") + ".";
    this.say("");
    if (!this.edits.has(number)) this.edits.set(number, new NoteEditor(this.facts, () => this.onEdit()));
    this.drawVoices();
    this.drawPlan();
    this.drawEditing();
    this.drawRules();
    this.faults.show(this.facts.faults);
    this.practice.show(voices.map((voice) => voice.name));
    this.showPlaying();
    await this.drawScore();
  }

  // A new take inherits the locks of the one it was written from.
  inherit(before) {
    if (this.locks.has(this.facts.number)) return;
    const old = before && this.locks.get(before.number);
    const fits = old && before.bars.length === this.facts.bars.length;
    this.locks.set(this.facts.number, { bars: new Set(fits ? old.bars : []), voices: new Set(fits ? [...old.voices].filter((name) => this.facts.voices.some((voice) => voice.name === name)) : []) });
  }

  address(rest) {
    return `descant/music/${this.value.token}/${rest}`;
  }

  drawVoices() {
    const { voices: locked } = this.locks.get(this.facts.number);
    this.voices.replaceChildren(
      ...this.facts.voices.map(({ name, own }, index) => {
        const isMuted = this.mixer.muted.has(name);
        const mute = h("button", { class: "button square", "aria-pressed": isMuted, "aria-label": t`Mute ${name}`, title: t`Mute ${name}` }, icon(isMuted ? "mute" : "loud"));
        mute.addEventListener("click", () => {
          this.mixer.mute(name, !this.mixer.muted.has(name));
          this.drawVoices();
          this.voices.children[index].querySelector("button").focus();
        });
        const isLocked = own || locked.has(name);
        const lock = h(
          "button",
          { class: "button square", "aria-pressed": isLocked, disabled: own, "aria-label": t`Keep ${name}`, title: own ? t`Yours` : t`Keep ${name}` },
          icon(isLocked ? "lock" : "open"),
        );
        lock.addEventListener("click", () => {
          locked[locked.has(name) ? "delete" : "add"](name);
          this.drawVoices();
          this.drawKeeps();
          this.voices.children[index].querySelectorAll("button")[1].focus();
        });
        const swatch = h("span", { class: "swatch", style: `background:${colorOf(name, index)}` });
        return h("span", { class: isMuted ? "voice muted" : "voice" }, swatch, h("span", { class: "name" }, t(name)), own ? h("small", {}, t`yours`) : null, mute, lock);
      }),
    );
    this.drawKeeps();
  }

  drawPlan() {
    const { plan } = this.facts;
    this.plan.hidden = !plan;
    if (!plan) return;
    const bars = plan.phrases.join(", ");
    const ends = plan.phrases.length > 1 ? t`phrases end in bars ${bars} (${plan.phrase_source})` : t`phrases end in bar ${bars} (${plan.phrase_source})`;
    this.planned.textContent = `${t`Key: ${plan.key}`}${bars && `; ${ends}`}.`;
    this.chords.replaceChildren(
      ...plan.bars.map(({ number, chords }) =>
        h(
          "label",
          { class: "chord" },
          h("small", {}, String(number)),
          h("input", {
            type: "text", value: chords, size: Math.max(5, chords.length), maxlength: "80", spellcheck: "false", autocomplete: "off",
            "aria-label": t`Chords of bar ${number}`,
            onkeydown: (event) => { if (event.key === "Enter") this.rewriteButton.click(); },
          }),
        ),
      ),
    );
  }

  chosenChords() {
    return [...this.chords.querySelectorAll("input")].map((input) => input.value.trim());
  }

  get notes() {
    return this.edits.get(this.facts.number);
  }

  // Seconds and pitch under the pointer.
  placeOf(event) {
    const box = this.roll.getBoundingClientRect();
    return [(event.clientX - box.left) / this.scale, this.high - Math.floor((event.clientY - box.top) / this.row)];
  }

  toggleEditing() {
    this.isEditing = !this.isEditing;
    this.drawEditing();
    if (this.isEditing) this.rollScroller.focus();
  }

  drawEditing() {
    this.editButton.setAttribute("aria-pressed", this.isEditing);
    this.editHint.hidden = !this.isEditing;
    this.roll.classList.toggle("editing", this.isEditing);
    if (this.isEditing) this.rollScroller.tabIndex = 0;
    else this.rollScroller.removeAttribute("tabindex");
    const voice = h("label", { class: "field" }, t`Add to`, this.notes.voice);
    this.editBar.replaceChildren(...(this.isEditing && this.notes.free.length ? [voice] : []), this.notes.live);
    this.onEdit();
  }

  onEdit() {
    this.useButton.hidden = !this.notes.hasChanges;
    this.drawRoll();
    this.drawKeeps();
  }

  drawRoll() {
    const { bars } = this.facts;
    this.row = this.isEditing ? EDIT_ROW : ROW;
    const seconds = Number(this.slider.max);
    const room = Math.max(this.rollScroller.clientWidth || this.clientWidth, 200) - 2;
    this.scale = Math.max(room / seconds, (bars.length * MIN_BAR) / seconds);
    const pitches = this.notes.notes.map((note) => note.pitch);
    const low = Math.min(...pitches) - 2, high = (this.high = Math.max(...pitches) + 2);
    const width = seconds * this.scale, height = (high - low + 1) * this.row;
    const lines = bars.map(({ start }) => s("line", { x1: start * this.scale, x2: start * this.scale, y1: 0, y2: height, class: "barline" }));
    const octaves = [];
    for (let pitch = low; pitch <= high; pitch++) {
      if (pitch % 12) continue;
      const y = (high - pitch + 1) * this.row;
      octaves.push(s("line", { x1: 0, x2: width, y1: y, y2: y, class: "octave" }), s("text", { x: 3, y: y - 2, class: "number" }, noteName(pitch)));
    }
    const boxes = this.notes.boxes(this.scale, high, this.row);
    this.playhead = s("line", { class: "playhead", y1: 0, y2: height, x1: 0, x2: 0 });
    this.roll.replaceChildren(...octaves, ...lines, ...boxes, this.playhead);
    this.roll.setAttribute("width", width);
    this.roll.setAttribute("height", height);
    this.drawLocks();
  }

  drawLocks() {
    const { bars: locked } = this.locks.get(this.facts.number);
    this.locksRow.style.width = `${Number(this.slider.max) * this.scale}px`;
    this.locksRow.replaceChildren(
      ...this.facts.bars.map(({ number, start, end, own }, index) => {
        const isLocked = own || locked.has(index);
        return h(
          "button",
          {
            class: "lock", style: `left:${start * this.scale}px;width:${(end - start) * this.scale - 2}px`,
            "aria-pressed": isLocked, disabled: own, "aria-label": t`Keep bar ${number}`, title: own ? t`Yours` : t`Keep bar ${number}`,
            onclick: () => this.lockBar(index),
          },
          String(number),
          isLocked ? icon("lock") : null,
        );
      }),
    );
  }

  lockBar(index) {
    const { bars } = this.locks.get(this.facts.number);
    bars[bars.has(index) ? "delete" : "add"](index);
    this.drawLocks();
    this.drawKeeps();
    this.locksRow.children[index].focus();
  }

  drawKeeps() {
    const { bars, voices } = this.locks.get(this.facts.number);
    const kept = [...bars].sort((a, b) => a - b).map((index) => this.facts.bars[index].number);
    const { numLocked } = this.notes;
    const single = numLocked > 1 ? t`${numLocked} notes` : numLocked ? t`${numLocked} note` : "";
    const whole = kept.length > 1 ? t`bars ${kept.join(", ")}` : kept.length ? t`bar ${kept[0]}` : "";
    const parts = [single, whole, ...[...voices].map((name) => t(name))].filter(Boolean);
    this.keeps.textContent = parts.length
      ? t`Keeps ${parts.join(t(" and "))}, and your own notes; the rest is written again.`
      : t`Lock bars (above the roll), voices or single notes to keep them; everything else is written again. Your own notes always stay.`;
  }

  drawRules() {
    if (!this.facts.rules.length) {
      this.rules.replaceChildren(h("p", { class: "hint" }, t`The rules apply to four voices.`));
      return;
    }
    const rows = this.facts.rules.map(({ label, unit, found, rate, bach }) => {
      const short = unit.startsWith("%") ? " %" : "";
      const most = Math.max(rate, bach.high, 0.5);
      const bars = h(
        "span",
        { class: "bars", "aria-hidden": "true" },
        h("span", { class: "mine", style: `width:${(100 * rate) / most}%` }),
        h("span", { class: "bachs", style: `width:${(100 * bach.value) / most}%` }),
      );
      return h(
        "tr",
        {},
        h("th", { scope: "row" }, t(label)),
        h("td", {}, `${rate.toFixed(1)}${short}`, h("small", {}, ` (${found})`)),
        h("td", {}, `${bach.value.toFixed(1)}${short}`, h("small", {}, ` [${bach.low.toFixed(1)}–${bach.high.toFixed(1)}]`)),
        h("td", { class: "drawn" }, bars),
      );
    });
    const headings = [t`Rule`, t`Here`, "Bach", ""].map((name) => h("th", { scope: "col" }, name));
    this.rules.replaceChildren(
      h("table", {}, h("thead", {}, h("tr", {}, ...headings)), h("tbody", {}, ...rows)),
      h(
        "p",
        { class: "hint" },
        t`Per 1,000 pitch changes, or % of 16ths, with counts in parentheses. Bach: 201 chorales, with 95 % intervals. He breaks each rule now and then, so zero is not the goal, and one short piece says little.`,
      ),
    );
  }

  async drawScore() {
    const number = this.facts.number;
    this.stavesButton.textContent = this.staves === "open" ? t`Two staves` : t`Four staves`;
    this.stavesButton.hidden = !this.facts.rules.length;
    for (const [form, link] of this.files) {
      link.hidden = form === "pdf" && !this.facts.has_pdf;
      link.href = this.address(`${number}/files/${form}?staves=${this.staves}`);
    }
    this.print.href = this.address(`${number}/print.html?staves=${this.staves}`);
    this.width = this.paper.clientWidth || this.clientWidth;
    const response = await fetch(this.address(`${number}/score.json?width=${Math.round(this.width - 8)}&staves=${this.staves}&marks=${this.faults.isMarking}`));
    if (number !== this.facts.number) return;
    if (!response.ok) return this.say(await sentenceOf(response));
    const { svg, notes } = await response.json();
    this.score.show(svg, notes);
    this.paper.setAttribute("aria-label", t`Score of ${this.facts.name}: ${this.facts.title}, ${this.facts.bars.length} bars`);
  }

  async toggleStaves() {
    this.staves = this.staves === "open" ? "closed" : "open";
    await this.drawScore();
  }

  onResize() {
    if (!this.facts || this.hidden || Math.abs(this.paper.clientWidth - this.width) < 20) return;
    clearTimeout(this.resizing);
    this.resizing = setTimeout(() => {
      this.drawRoll();
      this.drawScore();
    }, 250);
  }

  // ---- listening

  async toggle() {
    if (this.mixer.playing) this.mixer.pause();
    else {
      this.playButton.setAttribute("aria-busy", "true");
      await this.mixer.play();
      this.playButton.removeAttribute("aria-busy");
      if (this.mixer.remark) this.say(this.mixer.remark);
    }
    this.showPlaying();
  }

  async setTempo() {
    this.playButton.setAttribute("aria-busy", "true");
    await this.mixer.setTempo(Number(this.tempo.value) / 100);
    this.playButton.removeAttribute("aria-busy");
    this.showPlaying();
  }

  async seek(seconds) {
    await this.mixer.seek(seconds);
    this.showPlaying();
  }

  // Go to a place in the score, and show the notes that sound there.
  async showPlace(seconds) {
    await this.seek(seconds);
    this.score.point(seconds, true);
    this.paper.scrollIntoView({ block: "nearest" });
  }

  showPlaying() {
    this.playButton.replaceChildren(icon(this.mixer.playing ? "pause" : "play"), this.mixer.playing ? t`Pause` : t`Play`);
    this.follow();
  }

  follow() {
    cancelAnimationFrame(this.frame);
    const now = this.mixer.now;
    this.slider.value = now;
    this.slider.setAttribute("aria-valuetext", t`${clock(now)} of ${clock(Number(this.slider.max))}`);
    this.time.textContent = `${clock(now)} / ${clock(Number(this.slider.max))}`;
    this.playhead?.setAttribute("x1", now * this.scale);
    this.playhead?.setAttribute("x2", now * this.scale);
    this.score.point(now, this.mixer.playing);
    if (this.mixer.playing) {
      const x = now * this.scale;
      const { scrollLeft, clientWidth } = this.rollScroller;
      if (x < scrollLeft || x > scrollLeft + clientWidth - 30) this.rollScroller.scrollLeft = x - 30;
      this.frame = requestAnimationFrame(() => this.follow());
    }
  }

  // ---- another take

  // `chords` are those of each bar as edited, or null for another take with those of the request.
  // With `asIs` the take gets the edited notes, and nothing is written.
  askAgain(chords = null, asIs = false) {
    this.mixer.pause();
    this.showPlaying();
    this.onagain({ number: this.facts.number, ...this.locked(), ...this.notes.payload, chords, as_is: asIs });
  }

  locked() {
    const { bars, voices } = this.locks.get(this.facts.number);
    return { bars: [...bars], voices: [...voices] };
  }

  onTabKey(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const tabs = [...this.tabs.children];
    const next = tabs[(tabs.findIndex((tab) => tab.tabIndex === 0) + step + tabs.length) % tabs.length];
    this.choose(Number(next.dataset.number)).then(() => next.focus());
  }

  say(sentence) {
    this.remark.textContent = sentence;
  }
}
