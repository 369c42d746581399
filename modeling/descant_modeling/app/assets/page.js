// Our elements. Gradio draws everything else.

import { DescantEditor } from "./editor.js";
import { DescantPlayer } from "./player.js";
import { t } from "./texts.js";

customElements.define("descant-editor", DescantEditor);
customElements.define("descant-player", DescantPlayer);

// Gradio names its sliders in English, and its boxes by their values.
function translateNames() {
  for (const element of document.querySelectorAll("[aria-label^='number input for '], [aria-label^='range slider for '], .reset-button[aria-label]")) {
    const [, kind, label] = element.ariaLabel.match(/^(?:(number input|range slider) for )?(.*)$/);
    const translated = kind === "number input" ? t`number input for ${label}` : kind ? t`range slider for ${label}` : t(label);
    if (translated !== element.ariaLabel) element.ariaLabel = translated;
  }
  for (const box of document.querySelectorAll("input[title]")) if (t(box.title) !== box.title) box.title = t(box.title);
}
new MutationObserver(translateNames).observe(document.body, { subtree: true, childList: true, attributeFilter: ["aria-label", "title"] });
