// The faults of a take: each at its place, to be seen, heard and mended.

import { h } from "./parts.js";
import { t } from "./texts.js";

const HINT = t`Click a fault to go there. Bach breaks most rules now and then: a warning is what he does at least once in 1,000 pitch changes or 16ths.`;
const lower = (text) => text.charAt(0).toLowerCase() + text.slice(1);

export class FaultList {
  // `onplace` takes the seconds of a fault, `onmend` the indices of faults, `onmark` whether the score shows them.
  constructor({ onplace, onmend, onmark }) {
    this.onplace = onplace;
    this.onmend = onmend;
    this.list = h("ul", { class: "faults" });
    this.mendAll = h("button", { class: "button mend-all", onclick: () => this.onmend(this.mendable()) }, t`Mend all`);
    this.mendErrors = h("button", { class: "button mend-errors", onclick: () => this.onmend(this.mendable("error")) }, t`Mend errors`);
    this.mark = h("button", { class: "button mark", "aria-pressed": false, onclick: () => {
      this.isMarking = !this.isMarking;
      this.mark.setAttribute("aria-pressed", this.isMarking);
      onmark(this.isMarking);
    } }, t`Mark in the score`);
    this.isMarking = false;
    this.summary = h("p", { class: "hint" });
    this.buttons = h("div", { class: "bar" }, this.mark, this.mendErrors, this.mendAll);
    this.element = h("section", { class: "checked" }, h("h3", {}, t`Faults of voice leading`), this.summary, this.list, this.buttons);
  }

  mendable(level) {
    return this.faults.flatMap((fault, index) => (fault.mendable && (!level || fault.level === level) ? [index] : []));
  }

  // `faults` are those of a take, null if it is not in four voices.
  show(faults) {
    this.element.hidden = !faults;
    this.faults = faults ?? [];
    this.buttons.hidden = !this.faults.length;
    this.mendErrors.disabled = !this.mendable("error").length;
    this.mendAll.disabled = !this.mendable().length;
    this.summary.textContent = this.faults.length ? HINT : t`No rule is broken.`;
    this.list.replaceChildren(...this.faults.map((fault, index) => this.item(fault, index)));
  }

  item(fault, index) {
    const notes = fault.voices.map((voice, which) => `${t(voice).toLowerCase()} ${fault.notes[which].join("-")}`).join(", ");
    const place = t`Bar ${fault.bar}, beat ${Number(fault.beat.toFixed(2))}`;
    const name = t(fault.name);
    const rule = `${t(fault.statement)} Bach: ${fault.bach.value} ${t(fault.bach.unit)}.`;
    const go = h("button", { class: "place", title: rule, onclick: () => this.onplace(fault.time) }, h("b", {}, `${place}: ${name}`), ` ${notes} `, h("small", { class: fault.level }, t(fault.level)));
    const mend = h(
      "button",
      {
        class: "button mend", disabled: !fault.mendable, "aria-label": t`Mend ${lower(place)}, ${name}`,
        title: fault.mendable ? null : t`Only your own notes make it`, onclick: () => this.onmend([index]),
      },
      t`Mend`,
    );
    return h("li", {}, go, mend);
  }
}
