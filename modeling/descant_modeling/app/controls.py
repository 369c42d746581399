"""The controls of the page: their order, words and values. Values do not depend on the language."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping

import gradio as gr

from descant_modeling.app.language import Language, languages
from descant_modeling.app.service import Service
from descant_modeling.app.status import message_line
from descant_modeling.app.words import AUTO, HARMONIC_RHYTHMS, LAST_CHORDS, model_label
from descant_modeling.decoding.config import GenerationConfig
from descant_tokenizers.rendering import SOUNDS
from descant_tokenizers.scores import VOICES

__all__ = ["ANY_STYLE", "Controls"]

ANY_STYLE = "any"
_TASKS = {"Harmonize it": "harmonize", "Continue it": "continue", "Rewrite some bars": "infill"}

# How our elements talk to Gradio; `gr.HTML` gives the code `watch` and `trigger`.
_EDITOR_JS = """
customElements.whenDefined("descant-editor").then(() => {
  const editor = element.querySelector("descant-editor");
  editor.onvalue = (value) => { props.value = structuredClone(value); };
  editor.onfile = () => trigger("opened");
  const load = () => { if (props.value && props.value.token !== editor.value?.token) editor.open(props.value); };
  watch("value", load);
  load();
});
"""
_PLAYER_JS = """
customElements.whenDefined("descant-player").then(() => {
  const player = element.querySelector("descant-player");
  player.onagain = (request) => trigger("again", request);
  player.onmend = (request) => trigger("mend", request);
  const load = () => player.load(props.value);
  watch("value", load);
  load();
});
"""


class Controls:
    """Gradio's controls and our two elements, made inside a `gr.Blocks`.

    Args:
        service: The models to offer, and the limits.
        say: The language.
        switch: Codes of the languages to switch between; fewer than two make no switch.
    """

    def __init__(self, service: Service, say: Language, switch: Iterable[str]) -> None:
        self.service, self.say = service, say
        limits = service.limits
        gr.HTML(
            f"{self._switch(switch)}<h1>Descant</h1><p>"
            + say(
                "A melody in, a chorale out, or a song with piano, or a string quartet. Everything runs on this "
                "machine; nothing leaves it."
            )
            + "</p>",
            elem_classes="dsc-head",
        )
        gr.HTML(f"<h2>{say('Your melody')}</h2>", elem_classes="dsc-step")
        self.editor = gr.HTML(
            {}, html_template="<descant-editor></descant-editor>", js_on_load=_EDITOR_JS, apply_default_css=False
        )
        self.kept_token = gr.Textbox(visible=False)
        gr.HTML(f"<h2>{say('What to write')}</h2>", elem_classes="dsc-step")
        self._lay_out_task()
        with gr.Accordion(say("Direct the harmony"), open=False, visible=self.is_directed("harmonize")) as direction:
            self.direction = direction
            self._lay_out_direction()
        with gr.Accordion(say("More options"), open=False):
            self._lay_out_options()
        with gr.Column(elem_id="dsc-actions"):
            with gr.Row():
                self.write = gr.Button(say("Write"), variant="primary", scale=3, min_width=120, elem_id="dsc-write")
                self.cancel = gr.Button(say("Cancel"), scale=1, min_width=80, elem_id="dsc-cancel", interactive=False)
            self.status = gr.HTML(message_line(""), elem_id="dsc-status")
        self.player = gr.HTML(
            {}, html_template="<descant-player hidden></descant-player>", js_on_load=_PLAYER_JS, apply_default_css=False
        )
        foot = say(
            "Files: MIDI, MusicXML, ABC or Humdrum, {}. One request is written at a time, for at most {} seconds; up "
            "to {} wait. Your last {} takes stay in memory as long as there is room.",
            limits.sentence(),
            f"{limits.request_seconds:g}",
            limits.queue_length,
            limits.kept_takes,
        )
        gr.HTML(f"<p>{html.escape(foot)}</p>", elem_classes="dsc-foot")

    def _switch(self, codes: Iterable[str]) -> str:
        """Return links to the page in each language, as HTML."""
        offered = [languages()[code] for code in codes]
        current = {self.say.code: ' aria-current="true"'}
        links = [
            f'<a href="../?language={each.code}" lang="{each.code}"{current.get(each.code, "")}>{each.name}</a>'
            for each in offered
        ]
        label = self.say("Language of the page")
        return f'<nav class="dsc-languages" aria-label="{label}">{" | ".join(links)}</nav>' if len(links) > 1 else ""

    def choices(self, labels: Mapping[str, str] | Iterable[str]) -> list[tuple[str, str]]:
        """Return choices as Gradio takes them, given values by label, or values that are their own labels."""
        values = labels if isinstance(labels, Mapping) else {label: label for label in labels}
        return [(self.say.filled(label), value) for label, value in values.items()]

    def _lay_out_task(self) -> None:
        say, limits = self.say, self.service.limits
        with gr.Row():
            self.task = gr.Radio(self.choices(_TASKS), value="harmonize", label=say("Task"), scale=3, min_width=280)
            models = [(model_label(name, each, say), name) for name, each in self.service.generators.items()]
            self.model = gr.Dropdown(models, value=models[0][1], label=say("Model"), scale=3, min_width=260)
            self.num_takes = gr.Slider(1, limits.max_takes, value=1, step=1, label=say("Takes"), scale=2, min_width=200)
        with gr.Row(visible=False) as self.continue_row:
            self.num_bars = gr.Slider(1, limits.max_new_bars, value=4, step=1, label=say("Bars to add"))
        with gr.Row(visible=False) as self.infill_row:
            self.first_bar = gr.Number(1, precision=0, minimum=0, label=say("From bar"), min_width=120)
            self.last_bar = gr.Number(2, precision=0, minimum=0, label=say("To bar"), min_width=120)
            gr.Markdown(
                say(
                    "All voices of your music are rewritten in these bars, the melody too. Tick those to keep under "
                    "Given voices. To rewrite bars of a take, lock its others."
                )
            )

    def _lay_out_direction(self) -> None:
        say = self.say
        with gr.Row():
            self.key = gr.Textbox(
                label=say("Key at the end"),
                placeholder=say("G major"),
                info=say("Empty: as the melody suggests."),
                min_width=200,
            )
            self.phrases = gr.Textbox(
                label=say("Bars in which phrases end"),
                placeholder="4, 8, 12",
                info=say("Empty: at fermatas, else guessed. none: wherever the model likes."),
                min_width=200,
            )
        with gr.Row():
            rhythms = self.choices(HARMONIC_RHYTHMS)
            self.harmonic_rhythm = gr.Dropdown(rhythms, value=AUTO, label=say("The harmony changes"), min_width=200)
            self.last_chord = gr.Dropdown(
                self.choices(LAST_CHORDS),
                value=GenerationConfig.last_chord,
                label=say("Last chord"),
                info=say("The tonic is kept where your melody allows it."),
                min_width=200,
            )
        self.chords = gr.Textbox(
            label=say("Chords"),
            placeholder="G | C D7 | G/B C | D",
            info=say("From bar 1 on, with bar lines between; the chords of a bar share its beats. Empty: the model's."),
            elem_id="dsc-chords",
        )

    def _lay_out_options(self) -> None:
        say = self.say
        with gr.Row():
            self.temperature = gr.Slider(
                0,
                2,
                value=GenerationConfig.temperature,
                step=0.05,
                label=say("Temperature"),
                info=say("Below 1 safer, above 1 bolder."),
                min_width=220,
            )
            # A text box, because an empty number box shows 0.
            seed_help = say("Empty: a new one each time.")
            self.seed = gr.Textbox(
                "", label=say("Seed"), info=seed_help, max_lines=1, min_width=160, elem_id="dsc-seed"
            )
            sounds = self.choices({name.capitalize(): name for name in SOUNDS})
            self.sound = gr.Dropdown(sounds, value="choir", label=say("Sound of added voices"), min_width=160)
            styles = self.styles(next(iter(self.service.generators)))
            self.style = gr.Dropdown(
                self.choices(styles),
                value=styles[0],
                label=say("Style"),
                visible=len(styles) > 1,
                min_width=160,
                elem_id="dsc-style",
            )
        with gr.Row():
            self.given = gr.CheckboxGroup(
                self.choices(VOICES),
                value=[VOICES[0]],
                label=say("Given voices"),
                info=say("The voices that your tracks are; when bars are rewritten, the voices to keep."),
            )
            self.track = gr.Dropdown(self.choices([AUTO]), value=AUTO, label=say("Melody track"), visible=False)

    def is_directed(self, task: str, model: str | None = None) -> bool:
        """Return True if a model, by default the first one, can be told about the harmony in a task."""
        name = next(iter(self.service.generators)) if model is None else model
        return task != "continue" and self.service.generators[name].has_hints

    def styles(self, model: str) -> list[str]:
        """Return the styles to choose from, any of them first."""
        return [ANY_STYLE, *self.service.generators[model].styles]
