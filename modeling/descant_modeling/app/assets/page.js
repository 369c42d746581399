// Our elements. Gradio draws everything else.

import { DescantEditor } from "./editor.js";
import { DescantPlayer } from "./player.js";

customElements.define("descant-editor", DescantEditor);
customElements.define("descant-player", DescantPlayer);
