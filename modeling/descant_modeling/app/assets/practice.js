// Practice tracks: for each voice the whole piece with that voice louder.

import { h } from "./parts.js";
import { t } from "./texts.js";

const EACH = "each";
const SOUNDS = [["", t`as written`], ["choir", t`choir`], ["organ", t`organ`], ["piano", t`piano`], ["strings", t`strings`]];

export class PracticeRow {
  // `address` returns the address of the download for a query.
  constructor(address) {
    this.address = address;
    this.selects = [];
    const number = (label, value, min, max) =>
      h("input", { type: "number", value, min, max, step: "1", "aria-label": label, onchange: () => this.update() });
    this.louder = number(t`Own voice louder, in decibels`, "9", "0", "24");
    this.tempo = number(t`Tempo of practice tracks, in percent`, "100", "25", "400");
    this.countIn = h("input", { type: "checkbox", checked: true, onchange: () => this.update() });
    this.sound = this.select(t`Sound of practice tracks`, [...SOUNDS, [EACH, t`one for each voice`]]);
    this.single = h("span", { class: "bar", hidden: true });
    this.link = h("a", { class: "button practice", download: true }, t`Download practice tracks`);
    this.element = h(
      "section",
      {},
      h("h3", {}, t`Practice tracks`),
      h("p", { class: "hint" }, t`An MP3 for each voice: everybody sounds, and that voice is louder.`),
      h(
        "div",
        { class: "bar" },
        h("label", { class: "field" }, t`Louder by`, this.louder, "dB"),
        h("label", { class: "field" }, t`Tempo`, this.tempo, "%"),
        h("label", { class: "field" }, t`Sound`, this.sound),
        this.single,
        h("label", { class: "field" }, this.countIn, t`a bar of clicks first`),
        this.link,
      ),
    );
  }

  select(label, choices) {
    return h("select", { "aria-label": label, onchange: () => this.update() }, ...choices.map(([value, text]) => h("option", { value }, text)));
  }

  // Offer a sound for each voice of a take.
  show(voices) {
    this.selects = voices.map((name) => [name, this.select(t`Sound of ${name}`, SOUNDS)]);
    this.single.replaceChildren(...this.selects.map(([name, select]) => h("label", { class: "field" }, t(name), select)));
    this.update();
  }

  update() {
    const isEach = this.sound.value === EACH;
    this.single.hidden = !isEach;
    const chosen = this.selects.filter(([, select]) => select.value).map(([name, select]) => `${name}=${select.value}`);
    const sound = isEach ? chosen.join(",") : this.sound.value;
    const query = new URLSearchParams({ louder: this.louder.value, tempo: this.tempo.value, count_in: this.countIn.checked, sound });
    this.link.href = this.address(query);
  }
}
