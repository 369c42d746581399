"""The page: Gradio's controls around two elements of our own, a melody editor and a player."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from typing import Any, cast

import gradio as gr
from fastapi import FastAPI

from descant_modeling.app.editor import Drawing, blank_drawing
from descant_modeling.app.http_api import API_PREFIX, make_api
from descant_modeling.app.jobs import Job, StoppedError
from descant_modeling.app.live import add_live
from descant_modeling.app.requests import Locks, PageRequest, parse_seed
from descant_modeling.app.routes import ASSETS, ROUTES_PREFIX, answer_input_error, make_router
from descant_modeling.app.service import Service, example_files
from descant_modeling.app.sessions import Session, Take
from descant_modeling.app.status import error_line, message_line, progress_line, waiting_line
from descant_modeling.app.words import AUTO, HARMONIC_RHYTHMS, LAST_CHORDS, for_page, model_label
from descant_modeling.decoding.config import GenerationConfig, Sketch
from descant_modeling.generation.base import parse_chords, parse_phrases
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering import SOUNDS
from descant_tokenizers.scores import VOICES

__all__ = ["make_app"]

_TASKS = {"Harmonize it": "harmonize", "Continue it": "continue", "Rewrite some bars": "infill"}
_ANY_STYLE = "any"
_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Liberation Sans", "sans-serif"]  # nothing to download
# Gradio looks for work a thousand times a second, and a hundred times for progress bars, which the page does not have.
_WORK_SECONDS, _PROGRESS_SECONDS = 0.2, 5.0

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
_KEPT_TOKEN_JS = """
() => { try { return JSON.parse(sessionStorage.getItem("descant-melody"))?.token ?? ""; } catch { return ""; } }
"""  # of the session before a reload
_QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden"}


def make_app(service: Service, *, with_api: bool = False) -> FastAPI:
    """Return the server of the page: our routes, the HTTP API if asked for, then Gradio's."""
    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if with_api:
        server.mount(API_PREFIX, make_api(service))
    server.include_router(make_router(service))
    add_live(server, service, f"{ROUTES_PREFIX}/live")
    server.add_exception_handler(InputError, answer_input_error)
    page = _Page(service).blocks
    page.queue(max_size=None, default_concurrency_limit=None, api_open=False)  # requests wait in `Service.queue`
    page._queue.sleep_when_free = _WORK_SECONDS
    page._queue.progress_update_sleep_when_free = _PROGRESS_SECONDS
    page.state_session_capacity = service.limits.num_sessions  # Gradio would keep the controls of 10,000
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
            max_file_size=service.limits.upload.max_bytes,
            theme=gr.themes.Base(primary_hue="rose", neutral_hue="stone", font=_FONTS, font_mono=["monospace"]),
            css_paths=[ASSETS / "page.css"],
            head=head,
        ),
    )


class _Page:
    """The controls, and what happens when they are used."""

    def __init__(self, service: Service) -> None:
        self.service = service
        with gr.Blocks(title="Descant", analytics_enabled=False) as self.blocks:
            self._lay_out()
            self._connect()

    # ---- layout

    def _lay_out(self) -> None:
        limits = self.service.limits
        gr.HTML(
            "<h1>Descant</h1><p>A melody in, a chorale out, or a song with piano, or a string quartet. Everything runs "
            "on this machine; nothing leaves it.</p>",
            elem_classes="dsc-head",
        )
        gr.HTML("<h2>Your melody</h2>", elem_classes="dsc-step")
        self.editor = gr.HTML(
            {}, html_template="<descant-editor></descant-editor>", js_on_load=_EDITOR_JS, apply_default_css=False
        )
        self.kept_token = gr.Textbox(visible=False)
        gr.HTML("<h2>What to write</h2>", elem_classes="dsc-step")
        with gr.Row():
            self.task = gr.Radio(list(_TASKS.items()), value="harmonize", label="Task", scale=3, min_width=280)
            choices = [(model_label(name, each), name) for name, each in self.service.generators.items()]
            self.model = gr.Dropdown(choices, value=choices[0][1], label="Model", scale=3, min_width=260)
            self.num_takes = gr.Slider(1, limits.max_takes, value=1, step=1, label="Takes", scale=2, min_width=200)
        with gr.Row(visible=False) as self.continue_row:
            self.num_bars = gr.Slider(1, limits.max_new_bars, value=4, step=1, label="Bars to add")
        with gr.Row(visible=False) as self.infill_row:
            self.first_bar = gr.Number(1, precision=0, minimum=0, label="From bar", min_width=120)
            self.last_bar = gr.Number(2, precision=0, minimum=0, label="To bar", min_width=120)
        with gr.Accordion("Direct the harmony", open=False, visible=self._is_directed("harmonize")) as self.direction:
            self._lay_out_direction()
        with gr.Accordion("More options", open=False):
            self._lay_out_options()
        with gr.Column(elem_id="dsc-actions"):
            with gr.Row():
                self.write = gr.Button("Write", variant="primary", scale=3, min_width=120, elem_id="dsc-write")
                self.cancel = gr.Button("Cancel", scale=1, min_width=80, elem_id="dsc-cancel", interactive=False)
            self.status = gr.HTML(message_line(""), elem_id="dsc-status")
        self.player = gr.HTML(
            {}, html_template="<descant-player hidden></descant-player>", js_on_load=_PLAYER_JS, apply_default_css=False
        )
        gr.HTML(
            f"<p>Files: MIDI, MusicXML, ABC or Humdrum, {html.escape(limits.sentence())}. One request is written at a "
            f"time, for at most {limits.request_seconds:g} seconds; up to {limits.queue_length} wait. Your last "
            f"{limits.kept_takes} takes stay in memory as long as there is room.</p>",
            elem_classes="dsc-foot",
        )

    def _lay_out_direction(self) -> None:
        with gr.Row():
            self.key = gr.Textbox(
                label="Key at the end", placeholder="G major", info="Empty: as the melody suggests.", min_width=200
            )
            self.phrases = gr.Textbox(
                label="Bars in which phrases end",
                placeholder="4, 8, 12",
                info="Empty: at fermatas, rests and long notes. none: wherever the model likes.",
                min_width=200,
            )
            self.harmonic_rhythm = gr.Dropdown(
                list(HARMONIC_RHYTHMS.items()), value=AUTO, label="The harmony changes", min_width=200
            )
            self.last_chord = gr.Dropdown(
                list(LAST_CHORDS.items()),
                value=GenerationConfig.last_chord,
                label="Last chord",
                info="The tonic is kept where your melody allows it.",
                min_width=200,
            )
        self.chords = gr.Textbox(
            label="Chords",
            placeholder="G | C D7 | G/B C | D",
            info="From bar 1 on, with bar lines between; the chords of a bar share its beats. Empty: the model's.",
            elem_id="dsc-chords",
        )

    def _lay_out_options(self) -> None:
        with gr.Row():
            help_text = "Below 1 safer, above 1 bolder."
            self.temperature = gr.Slider(
                0,
                2,
                value=GenerationConfig.temperature,
                step=0.05,
                label="Temperature",
                info=help_text,
                min_width=220,
            )
            # A text box, because an empty number box shows 0.
            self.seed = gr.Textbox("", label="Seed", info="Empty: a new one each time.", max_lines=1, min_width=160)
            sounds = [(name.capitalize(), name) for name in SOUNDS]
            self.sound = gr.Dropdown(sounds, value="choir", label="Sound of added voices", min_width=160)
            styles = self._styles(next(iter(self.service.generators)))
            self.style = gr.Dropdown(
                styles, value=styles[0], label="Style", visible=len(styles) > 1, min_width=160, elem_id="dsc-style"
            )
        with gr.Row():
            self.given = gr.CheckboxGroup(
                list(VOICES),
                value=[VOICES[0]],
                label="Given voices",
                info="The voices that your tracks are; when bars are rewritten, the voices to keep.",
            )
            self.track = gr.Dropdown([AUTO], value=AUTO, label="Melody track", visible=False)

    def _is_directed(self, task: str, model: str | None = None) -> bool:
        """Return True if a model, by default the first one, can be told about the harmony in a task."""
        name = next(iter(self.service.generators)) if model is None else model
        return task != "continue" and self.service.generators[name].has_hints

    def _styles(self, model: str) -> list[str]:
        return [_ANY_STYLE, *self.service.generators[model].styles]

    # ---- events

    def _connect(self) -> None:
        self.blocks.load(self._open, self.kept_token, [self.editor, self.player], js=_KEPT_TOKEN_JS, **_QUIET)
        self.blocks.unload(self._leave)
        self.editor.opened(self._fit_drawing, self.editor, [self.track, self.last_bar], **_QUIET)
        rows = [self.continue_row, self.infill_row, self.given, self.direction]
        self.task.change(self._fit_task, [self.task, self.model], rows, **_QUIET)
        options = [self.temperature, self.style, self.direction, self.given, self.sound]
        self.model.change(self._fit_model, [self.task, self.model], options, **_QUIET)
        controls: set[Any] = {self.task, self.model, self.num_takes, self.num_bars, self.first_bar, self.last_bar}
        controls |= {self.temperature, self.seed, self.sound, self.given, self.track, self.style}
        controls |= {self.key, self.phrases, self.harmonic_rhythm, self.last_chord, self.chords}
        buttons: list[Any] = [self.status, self.write, self.cancel]
        outputs = [self.player, *buttons]
        work = [
            self.write.click(self._write, {self.editor, *controls}, outputs, show_progress="hidden"),
            self.player.again(self._again, controls, outputs, show_progress="hidden"),
            self.player.mend(self._mend, controls, outputs, show_progress="hidden"),
        ]
        self.cancel.click(self._cancel, None, buttons, cancels=work, **_QUIET)

    def _session(self, request: gr.Request) -> Session:
        return self.service.sessions.of(str(request.session_hash))

    def _open(self, kept_token: str, request: gr.Request) -> tuple[Drawing, dict[str, Any]]:
        session = self.service.sessions.resume(str(request.session_hash), kept_token)
        max_bars = self.service.limits.upload.max_bars
        context = {"token": session.token, "examples": list(example_files()), "max_bars": max_bars}
        return blank_drawing() | context, _player_value(session)

    def _leave(self, request: gr.Request) -> None:
        self.service.sessions.leave(str(request.session_hash))

    def _fit_drawing(self, drawing: Drawing) -> tuple[Any, Any]:
        """Offer the tracks and bars of a file that was opened."""
        names = [str(track["name"]) for track in drawing.get("tracks", [])]
        bars = [number for number, _ in drawing.get("lines", [])]
        tracks = gr.update(choices=[AUTO, *names], value=AUTO, visible=len(names) > 1)
        return tracks, gr.update(value=min(2, max(bars)) if bars else 2)

    def _fit_task(self, task: str, model: str) -> tuple[Any, ...]:
        """Show the controls that apply to a task."""
        return (
            gr.update(visible=task == "continue"),
            gr.update(visible=task == "infill"),
            self._fit_given(task, model),
            gr.update(visible=self._is_directed(task, model)),
        )

    def _fit_given(self, task: str, model: str) -> Any:
        """Offer the parts of a model as given ones; to harmonize, an ensemble has its leading part given."""
        parts = self.service.parts(model)
        is_shown = task == "infill" if parts != VOICES else task != "continue"
        given = [VOICES[0]] if parts == VOICES and task != "infill" else []
        return gr.update(choices=list(parts), value=given, visible=is_shown)

    def _fit_model(self, task: str, model: str) -> tuple[Any, ...]:
        """Show the controls that apply to a model."""
        styles = self._styles(model)
        return (
            gr.update(visible=self.service.generators[model].draws_tokens),
            gr.update(choices=styles, value=styles[0], visible=len(styles) > 1),
            gr.update(visible=self._is_directed(task, model)),
            self._fit_given(task, model),
            gr.update(visible=self.service.parts(model) == VOICES),
        )

    def _write(self, request: gr.Request, values: dict[Any, Any]) -> Iterator[tuple[Any, ...]]:
        session, drawing = self._session(request), values[self.editor] or {}
        yield from self._run(session, values, lambda wanted: self.service.write(session, drawing, wanted))

    def _again(self, request: gr.Request, event: gr.EventData, values: dict[Any, Any]) -> Iterator[tuple[Any, ...]]:
        session, locked = self._session(request), event._data

        def work(wanted: PageRequest) -> list[Take]:
            locks = Locks.of(locked)
            if locked.get("as_is"):
                return [self.service.edit(session, int(locked["number"]), locks.changes, wanted)]
            chords = None if locked["chords"] is None else tuple(map(str, locked["chords"]))
            return [self.service.rewrite(session, int(locked["number"]), locks, wanted, chords)]

        yield from self._run(session, values, work)

    def _mend(self, request: gr.Request, event: gr.EventData, values: dict[Any, Any]) -> Iterator[tuple[Any, ...]]:
        session, asked = self._session(request), event._data

        def work(wanted: PageRequest) -> list[Take]:
            faults = [int(index) for index in asked["faults"]]
            return [self.service.mend(session, int(asked["number"]), faults, Locks.of(asked), wanted)]

        yield from self._run(session, values, work)

    def _wanted(self, values: dict[Any, Any]) -> PageRequest:
        """Read the controls.

        Raises:
            InputError: A value is missing or out of range.
        """
        task, track, style = values[self.task], values[self.track], values[self.style]
        bars = values[self.first_bar], values[self.last_bar]
        if task == "infill" and None in bars:
            raise InputError("The bars to rewrite are missing. Give the first and the last one.")
        config = GenerationConfig(
            num_samples=int(values[self.num_takes]),
            seed=parse_seed(values[self.seed]),
            temperature=float(values[self.temperature]),
            last_chord="any" if task == "continue" else values[self.last_chord],
            sound=values[self.sound],
            style=None if style == _ANY_STYLE else style,
        )
        directed = self._directed(values) if task != "continue" else {}
        return PageRequest(
            task=task,
            model=values[self.model],
            given=(tuple(values[self.given]) or None) if task != "continue" else None,
            track=None if track == AUTO or task == "infill" else track,
            bars=(int(bars[0] or 0), int(bars[1] or 0)),
            num_bars=int(values[self.num_bars]),
            config=config,
            **directed,
        )

    def _directed(self, values: dict[Any, Any]) -> dict[str, Any]:
        """Read what is wanted of the harmony, as fields of a request.

        Raises:
            InputError: The phrase ends are no bars.
        """
        rhythm = values[self.harmonic_rhythm]
        return {
            "key": (values[self.key] or "").strip() or None,
            "phrases": parse_phrases((values[self.phrases] or "").strip() or "auto"),
            "chords": parse_chords(values[self.chords] or ""),
            "harmonic_rhythm": None if rhythm == AUTO else rhythm,
        }

    def _run(
        self, session: Session, values: dict[Any, Any], work: Callable[[PageRequest], list[Take]]
    ) -> Iterator[tuple[Any, ...]]:
        """Run a request and show its progress, then its takes or its error."""
        if session.job is not None and session.job.is_running and not session.job.is_stopping:
            return  # the page has no button for a second request
        sketches: list[Sketch] = []
        session.job = job = Job(
            lambda progress: work(self._wanted(values).configured(progress=progress, on_bar=sketches.append)),
            self.service.limits.request_seconds,
            self.service.queue,
        )
        player, shown = gr.skip(), ""
        try:
            yield player, message_line(""), *_buttons(is_busy=True)
            for share in job.run():
                sketch = sketches[-1] if sketches else None
                line = waiting_line(job.position) if job.position else progress_line(share, sketch)
                if line != shown:
                    shown = line
                    yield gr.skip(), line, gr.skip(), gr.skip()
            takes = job.result()
            names = " and ".join(filter(None, [", ".join(take.name for take in takes[:-1]), takes[-1].name]))
            player, line = _player_value(session, takes[0].number), message_line(f"{names} written.")
        except StoppedError:
            line = message_line("Canceled.")
        except InputError as error:
            line = error_line(for_page(error))
        except Exception:  # the job has logged it
            line = error_line("An internal error occurred. The terminal has the details.")
        yield player, line, *_buttons(is_busy=False)

    def _cancel(self, request: gr.Request) -> tuple[Any, ...]:
        self._session(request).stop()
        return message_line("Canceled."), *_buttons(is_busy=False)


def _buttons(*, is_busy: bool) -> tuple[Any, Any]:
    """Return the states of the buttons Write and Cancel."""
    return gr.update(interactive=not is_busy), gr.update(interactive=is_busy)


def _player_value(session: Session, active: int | None = None) -> dict[str, Any]:
    """Return the value of the player: the takes, and which one to show."""
    takes = [{"number": take.number, "name": take.name} for take in session.takes]
    return {"token": session.token, "takes": takes, "active": active or (takes[-1]["number"] if takes else 0)}
