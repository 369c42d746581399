"""The page itself: Gradio's controls around two elements of our own, a melody editor and a player.

The line under the buttons, as HTML: who waits, how far the writing is, how it ended.

What Gradio's controls look like.
"""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Iterator
from typing import Any, cast

import gradio as gr
from fastapi import FastAPI

from descant_modeling.app.editor import Drawing, blank_drawing
from descant_modeling.app.jobs import Job, StoppedError, run_job
from descant_modeling.app.requests import ANY_STYLE, BY_ITSELF, Listener, Locks, request_of_controls
from descant_modeling.app.routes import ASSETS, ROUTES_PREFIX, answer_input_error, make_router
from descant_modeling.app.service import Service, example_files, for_page, shown_name
from descant_modeling.app.sessions import Session, Take
from descant_modeling.decoding.config import TEMPERATURE
from descant_modeling.generation.base import SOUNDS, OnProgress, Sketch
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering.pianoroll import VOICE_COLORS
from descant_tokenizers.scores import VOICES

__all__ = ["build_page", "failure", "make_app", "paper_and_ink", "said", "waiting", "writing"]

_ROOM = 2  # semitones above the highest and below the lowest note


def said(sentence: str) -> str:
    """Say something."""
    return _line(f'<span class="dsc-good">{html.escape(sentence)}</span>')


def failure(sentence: str) -> str:
    """Say what was wrong."""
    return f'<div class="dsc-status" role="alert"><span class="dsc-bad">{html.escape(sentence)}</span></div>'


def waiting(num_before: int) -> str:
    """Say how many requests come first."""
    before = "one request is" if num_before == 1 else f"{num_before} requests are"
    return _line(f'<progress aria-label="Waiting"></progress>Waiting: {before} before yours.')


def writing(share: float, sketch: Sketch | None = None) -> str:
    """Say how far the writing is, in music where the model writes bar by bar.

    Args:
        share: Share done, 0-1.
        sketch: The first version so far, if there is something of it.
    """
    percent = round(100 * share)
    bar = f'<progress max="100" value="{percent}" aria-label="Writing"></progress>'
    if sketch is None:
        return _line(f"{bar}Writing, {percent} %")
    num_notes = sum(not note.is_given for note in sketch.notes)
    bars = f"{sketch.num_written} of {sketch.num_bars} bar{'s' * (sketch.num_bars != 1)}"
    return _line(f"{bar}{bars}, {num_notes} note{'s' * (num_notes != 1)} written") + _roll(sketch)


def _line(inside: str) -> str:
    return f'<div class="dsc-status" role="status">{inside}</div>'


def _roll(sketch: Sketch) -> str:
    """Draw what there is as a piano roll: a quarter is ten wide, a semitone one high."""
    if not sketch.notes:
        return ""
    low = min(note.pitch for note in sketch.notes) - _ROOM
    high = max(note.pitch for note in sketch.notes) + _ROOM
    boxes = "".join(
        f'<rect x="{10 * note.onset_quarters:.2f}" y="{high - note.pitch}" height="1" '
        f'width="{max(10 * note.duration_quarters - 0.6, 0.4):.2f}" fill="{VOICE_COLORS[note.voice]}" '
        f'opacity="{0.4 if note.is_given else 1}"/>'
        for note in sketch.notes
    )
    return (
        f'<svg class="dsc-sketch" viewBox="0 0 {10 * sketch.num_quarters:.2f} {high - low + 1}" '
        f'preserveAspectRatio="none" aria-hidden="true">{boxes}</svg>'
    )


def paper_and_ink() -> gr.themes.Base:
    """Return a theme with fonts that every system has."""
    fonts = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Liberation Sans", "sans-serif"]
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.rose, neutral_hue=gr.themes.colors.stone, font=fonts, font_mono=["monospace"]
    )
    return theme.set(
        body_background_fill="#f6f3ee",
        body_background_fill_dark="#171513",
        body_text_color="#211d1a",
        body_text_color_dark="#f2ede6",
        body_text_color_subdued="#5d554d",
        body_text_color_subdued_dark="#b9afa4",
        block_info_text_color="#5d554d",
        block_info_text_color_dark="#b9afa4",
        block_label_text_color="#4a443e",
        block_title_text_color="#4a443e",
        block_title_text_color_dark="#d8cfc4",
        block_background_fill="#ffffff",
        block_background_fill_dark="#23201e",
        block_border_color="#d9d2c8",
        button_primary_background_fill="#7a2231",
        button_primary_background_fill_hover="#5f1926",
        button_primary_background_fill_dark="#f0a3a8",
        button_primary_background_fill_hover_dark="#f7bfc2",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#2a0d11",
        slider_color="#7a2231",
        slider_color_dark="#f0a3a8",
        checkbox_background_color_selected="#7a2231",
        checkbox_border_color_selected="#7a2231",
        checkbox_label_background_fill_selected="#f3e4e4",
        checkbox_label_background_fill_selected_dark="#46292c",
    )


os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported: nothing leaves the machine

_TASKS = {"Harmonize it": "harmonize", "Continue it": "continue", "Rewrite some bars": "infill"}

# What our elements say to Gradio; `watch` and `trigger` are given to the code by `gr.HTML`.
_EDITOR_JS = """
customElements.whenDefined("descant-editor").then(() => {
  const editor = element.querySelector("descant-editor");
  editor.onvalue = (value) => { props.value = structuredClone(value); };
  editor.onfile = () => trigger("opened");
  const load = () => { if (props.value && props.value.token !== editor.value?.token) editor.load(props.value); };
  watch("value", load);
  load();
});
"""
_PLAYER_JS = """
customElements.whenDefined("descant-player").then(() => {
  const player = element.querySelector("descant-player");
  player.onagain = (wish) => trigger("again", wish);
  const load = () => player.load(props.value);
  watch("value", load);
  load();
});
"""

Answer = dict[Any, Any]


def make_app(studio: Service) -> FastAPI:
    """Return the server of the page: our routes, then Gradio's."""
    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    server.include_router(make_router(studio))
    server.add_exception_handler(InputError, answer_input_error)
    page = build_page(studio)
    page.queue(max_size=None, default_concurrency_limit=None, api_open=False)  # `Service.line` is our own
    head = f'<script type="module" src="{ROUTES_PREFIX}/assets/page.js"></script>'
    return cast(
        FastAPI,
        gr.mount_gradio_app(
            server,
            page,
            path="/",
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            max_file_size=studio.limits.upload.max_bytes,
            theme=paper_and_ink(),
            css_paths=[ASSETS / "page.css"],
            head=head,
        ),
    )


def build_page(studio: Service) -> gr.Blocks:
    """Lay the controls out and say what they do."""
    page: gr.Blocks = _Page(studio).blocks
    return page


class _Page:
    """The controls, and what happens when they are used."""

    def __init__(self, studio: Service) -> None:
        self.studio = studio
        with gr.Blocks(title="Descant", analytics_enabled=False) as self.blocks:
            self._lay_out()
            self._connect()

    # ---- what is on the page

    def _lay_out(self) -> None:
        limits = self.studio.limits
        gr.HTML(
            "<h1>Descant</h1><p>A melody in, a chorale out. It is all computed on this machine; nothing leaves it.</p>",
            elem_classes="dsc-head",
        )
        gr.HTML("<h2>Your melody</h2>", elem_classes="dsc-step")
        self.editor = gr.HTML(
            {}, html_template="<descant-editor></descant-editor>", js_on_load=_EDITOR_JS, apply_default_css=False
        )
        gr.HTML("<h2>What to write</h2>", elem_classes="dsc-step")
        with gr.Row():
            self.task = gr.Radio(list(_TASKS.items()), value="harmonize", label="Task", scale=3, min_width=280)
            choices = [(self._label(name), name) for name in self.studio.models]
            self.model = gr.Dropdown(choices, value=choices[0][1], label="Model", scale=2, min_width=200)
            self.num_particles = gr.Slider(
                1, limits.max_versions, value=1, step=1, label="Versions", scale=2, min_width=200
            )
        with gr.Row(visible=False) as self.continue_row:
            self.num_bars = gr.Slider(1, limits.max_new_bars, value=4, step=1, label="Bars to add")
        with gr.Row(visible=False) as self.infill_row:
            self.first_bar = gr.Number(1, precision=0, minimum=0, label="From bar", min_width=120)
            self.last_bar = gr.Number(2, precision=0, minimum=0, label="To bar", min_width=120)
        self._lay_out_more()
        with gr.Row():
            self.write = gr.Button("Write", variant="primary", scale=3, elem_id="dsc-write")
            self.cancel = gr.Button("Cancel", scale=1, elem_id="dsc-cancel", interactive=False)
        self.status = gr.HTML(said(""), elem_id="dsc-status")
        self.player = gr.HTML(
            {}, html_template="<descant-player hidden></descant-player>", js_on_load=_PLAYER_JS, apply_default_css=False
        )
        gr.HTML(f"<p>{html.escape(self._limits_sentence())}</p>", elem_classes="dsc-foot")

    def _lay_out_more(self) -> None:
        with gr.Accordion("More options", open=False):
            with gr.Row():
                self.temperature = gr.Slider(
                    0,
                    2,
                    value=TEMPERATURE,
                    step=0.05,
                    label="Temperature",
                    info="Below 1 safer, above 1 bolder.",
                    min_width=220,
                )
                # A number box shows 0 where it is empty.
                self.seed = gr.Textbox("", label="Seed", info="Empty: a new one each time.", max_lines=1, min_width=160)
                sounds = [(name.capitalize(), name) for name in SOUNDS]
                self.sound = gr.Dropdown(sounds, value="choir", label="Sound of written voices", min_width=160)
                styles = self._styles(next(iter(self.studio.models)))
                self.style = gr.Dropdown(
                    styles, value=styles[0], label="Style", visible=len(styles) > 1, min_width=160, elem_id="dsc-style"
                )
            with gr.Row():
                self.given = gr.CheckboxGroup(
                    list(VOICES),
                    value=[VOICES[0]],
                    label="Given voices",
                    info="What your tracks are; when bars are rewritten, what stays inside them.",
                )
                self.track = gr.Dropdown([BY_ITSELF], value=BY_ITSELF, label="Melody's track", visible=False)

    def _limits_sentence(self) -> str:
        limits = self.studio.limits
        return (
            f"Files: MIDI, MusicXML, ABC or Humdrum, {limits.sentence()}. One request is written at a time, for at "
            f"most {limits.request_seconds:g} seconds; up to {limits.queue_length} wait. "
            f"Your last {limits.kept_versions} versions are kept in memory for as long as there is room."
        )

    # ---- what happens

    def _connect(self) -> None:
        outputs: list[Any] = [self.player, self.status, self.write, self.cancel]
        self.blocks.load(self._open, None, [self.editor, self.player], queue=False, show_progress="hidden")
        self.blocks.unload(self._leave)
        self.editor.opened(
            self._describe, self.editor, [self.track, self.last_bar], queue=False, show_progress="hidden"
        )
        quietly: dict[str, Any] = {"queue": False, "show_progress": "hidden"}
        self.task.change(self._fit_task, self.task, [self.continue_row, self.infill_row, self.given], **quietly)
        self.model.change(self._fit_model, self.model, [self.temperature, self.style], **quietly)
        wishes: list[Any] = [self.task, self.model, self.num_particles, self.num_bars, self.first_bar, self.last_bar]
        wishes += [self.temperature, self.seed, self.sound, self.given, self.track, self.style]
        work = [
            self.write.click(self._write, [self.editor, *wishes], outputs, show_progress="hidden"),
            self.player.again(self._again, wishes, outputs, show_progress="hidden"),
        ]
        self.cancel.click(
            self._cancel,
            None,
            [self.status, self.write, self.cancel],
            cancels=work,
            queue=False,
            show_progress="hidden",
        )

    def _open(self, request: gr.Request) -> tuple[Drawing, dict[str, Any]]:
        visitor = self._visitor(request)
        bounds = {
            "token": visitor.token,
            "examples": list(example_files()),
            "max_bars": self.studio.limits.upload.max_bars,
        }
        return blank_drawing() | bounds, _shown(visitor)

    def _leave(self, request: gr.Request) -> None:
        self.studio.visitors.leave(str(request.session_hash))

    def _visitor(self, request: gr.Request) -> Session:
        return self.studio.visitors.of(str(request.session_hash))

    def _describe(self, drawing: Drawing) -> tuple[Any, Any]:
        """Offer the tracks and bars of what was opened."""
        names = [str(track["name"]) for track in drawing.get("tracks", [])]
        bars = [number for number, _ in drawing.get("lines", [])]
        choices = gr.update(choices=[BY_ITSELF, *names], value=BY_ITSELF, visible=len(names) > 1)
        return choices, gr.update(value=min(2, max(bars)) if bars else 2)

    def _fit_task(self, task: str) -> tuple[Any, ...]:
        """Show the controls that mean something for a task."""
        return (
            gr.update(visible=task == "continue"),
            gr.update(visible=task == "infill"),
            gr.update(visible=task != "continue", value=[] if task == "infill" else [VOICES[0]]),
        )

    def _fit_model(self, model: str) -> tuple[Any, Any]:
        """Show the controls that mean something to a model."""
        styles = self._styles(model)
        return (
            gr.update(visible=self.studio.writer(model).draws_tokens),
            gr.update(choices=styles, value=styles[0], visible=len(styles) > 1),
        )

    def _label(self, name: str) -> str:
        """Say what kind of model it is, and which."""
        writer = self.studio.writer(name)
        kind = "GAN" if not writer.draws_tokens else "Transformer with styles" if writer.styles else "Transformer"
        return f"{kind} ({shown_name(name)})"

    def _styles(self, model: str) -> list[str]:
        return [ANY_STYLE, *self.studio.writer(model).styles]

    def _write(self, request: gr.Request, drawing: Drawing, *values: Any) -> Iterator[tuple[Any, ...]]:
        visitor = self._visitor(request)

        def work(listener: Listener) -> list[Take]:
            return self.studio.write(visitor, drawing or {}, request_of_controls(*values), listener)

        yield from self._run(visitor, work)

    def _again(self, request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[tuple[Any, ...]]:
        visitor, wish = self._visitor(request), event._data

        def work(listener: Listener) -> list[Take]:
            locks = Locks(
                frozenset(int(bar) for bar in wish["bars"]), frozenset(str(voice) for voice in wish["voices"])
            )
            return [self.studio.rewrite(visitor, int(wish["number"]), locks, request_of_controls(*values), listener)]

        yield from self._run(visitor, work)

    def _run(self, visitor: Session, work: Callable[[Listener], list[Take]]) -> Iterator[tuple[Any, ...]]:
        """Do some work and say how far it is; in the end show what was written, or what was wrong."""
        if visitor.job is not None and visitor.job.is_running and not visitor.job.is_stopping:
            return  # its own end is shown; the page has no button for a second one
        sketches: list[Sketch] = []

        def listened(progress: OnProgress) -> list[Take]:
            return work(Listener(progress, sketches.append))

        visitor.job = job = Job(listened, self.studio.limits.request_seconds, self.studio.line)
        idle = (gr.update(interactive=True), gr.update(interactive=False))
        shown = ""
        try:
            yield gr.skip(), said(""), gr.update(interactive=False), gr.update(interactive=True)
            for share in run_job(job):
                sketch = sketches[-1] if sketches else None
                news = waiting(job.place) if job.place else writing(share, sketch)
                if news != shown:
                    shown = news
                    yield gr.skip(), news, gr.skip(), gr.skip()
            versions = job.result()
        except StoppedError:
            yield gr.skip(), said("Cancelled."), *idle
        except InputError as error:
            yield gr.skip(), failure(for_page(error)), *idle
        except Exception:  # `Job` has logged it
            yield gr.skip(), failure("Something went wrong inside; the terminal has the details."), *idle
        else:
            names = " and ".join(filter(None, [", ".join(v.name for v in versions[:-1]), versions[-1].name]))
            yield _shown(visitor, versions[0].number), said(f"{names} written."), *idle

    def _cancel(self, request: gr.Request) -> tuple[Any, ...]:
        self._visitor(request).stop()
        return said("Cancelled."), gr.update(interactive=True), gr.update(interactive=False)


def _shown(visitor: Session, active: int | None = None) -> dict[str, Any]:
    """Return what the player is told: which versions there are, and which one to show."""
    versions = [{"number": version.number, "name": version.name} for version in visitor.versions]
    return {
        "token": visitor.token,
        "versions": versions,
        "active": active or (versions[-1]["number"] if versions else 0),
    }
