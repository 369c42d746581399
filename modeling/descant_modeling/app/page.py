"""The page, once for each language: what happens when its controls are used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse

from descant_modeling.app.controls import ANY_STYLE, Controls
from descant_modeling.app.editor import Drawing, blank_drawing
from descant_modeling.app.http_api import API_PREFIX, make_api
from descant_modeling.app.jobs import Job, StoppedError
from descant_modeling.app.language import Language, check_language, languages, preferred
from descant_modeling.app.requests import Locks, PageRequest, parse_seed
from descant_modeling.app.routes import ASSETS, ROUTES_PREFIX, make_routes
from descant_modeling.app.service import Service, example_files
from descant_modeling.app.sessions import Session, Take
from descant_modeling.app.status import error_line, message_line, progress_line, waiting_line
from descant_modeling.app.words import AUTO, for_page
from descant_modeling.decoding.config import GenerationConfig, Sketch
from descant_modeling.generation.base import parse_chords, parse_phrases
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES

__all__ = ["make_app"]

_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Liberation Sans", "sans-serif"]  # nothing to download
# Gradio looks for work a thousand times a second, and a hundred times for progress bars, which the page does not have.
_WORK_SECONDS, _PROGRESS_SECONDS = 0.2, 5.0
_COOKIE, _COOKIE_SECONDS = "descant_language", 365 * 24 * 3600
_KEPT_TOKEN_JS = """
() => { try { return JSON.parse(sessionStorage.getItem("descant-melody"))?.token ?? ""; } catch { return ""; } }
"""  # of the session before a reload
_QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden"}


def make_app(service: Service, *, language: str | None = None, with_api: bool = False) -> FastAPI:
    """Return the server: the HTTP API if asked for, and the page in each language at `/CODE/`.

    Args:
        service: What it serves.
        language: Code of the only language; by default the page is there in all of them, and `/` leads to the one that
            was chosen on the page, at first to the browser's.
        with_api: Add the HTTP API.

    Raises:
        InputError: There is no such language.
    """
    check_language(language)
    codes = list(languages()) if language is None else [language]
    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if with_api:
        server.mount(API_PREFIX, make_api(service))

    @server.get("/")
    def first_page(request: Request) -> RedirectResponse:
        asked = request.query_params.get("language") or request.cookies.get(_COOKIE)
        code = asked if asked in codes else preferred(request.headers.get("accept-language", ""), codes)
        answer = RedirectResponse(f"{code}/?{request.url.query}".rstrip("?"))
        if asked == code:
            answer.set_cookie(_COOKIE, code, _COOKIE_SECONDS, samesite="lax")
        return answer

    @server.get("/favicon.ico")
    @server.get("/manifest.json")
    def of_the_site(request: Request) -> RedirectResponse:
        return RedirectResponse(codes[0] + request.url.path)

    for code in codes:
        _add_page(server, service, languages()[code], codes)
    return server


def _add_page(server: FastAPI, service: Service, say: Language, codes: Sequence[str]) -> None:
    """Add the page in one language to a server: our routes, then Gradio's."""
    server.mount(f"/{say.code}{ROUTES_PREFIX}", make_routes(service, say))
    page = _Page(service, say, codes).blocks
    page.queue(max_size=None, default_concurrency_limit=None, api_open=False)  # requests wait in `Service.queue`
    page._queue.sleep_when_free = _WORK_SECONDS
    page._queue.progress_update_sleep_when_free = _PROGRESS_SECONDS
    page.state_session_capacity = service.limits.num_sessions  # Gradio would keep the controls of 10,000
    # Gradio takes the language of its own few words from the browser, and writes `en` into the page.
    head = (
        f'<script>document.documentElement.lang = "{say.code}"; '
        f'Object.defineProperty(navigator, "language", {{ value: "{say.code}" }});</script>'
        f'<script type="module" src="{ROUTES_PREFIX[1:]}/assets/page.js"></script>'
    )
    gr.mount_gradio_app(
        server,
        page,
        path=f"/{say.code}",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        max_file_size=service.limits.upload.max_bytes,
        theme=gr.themes.Base(primary_hue="rose", neutral_hue="stone", font=_FONTS, font_mono=["monospace"]),
        css_paths=[ASSETS / "page.css"],
        head=head,
    )


class _Page(Controls):
    """The controls, and what happens when they are used."""

    def __init__(self, service: Service, say: Language, codes: Sequence[str]) -> None:
        with gr.Blocks(title="Descant", analytics_enabled=False) as self.blocks:
            super().__init__(service, say, codes)
            self._connect()

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

    def _open(self, kept_token: str | None, request: gr.Request) -> tuple[Drawing, dict[str, Any]]:
        session = self.service.sessions.resume(str(request.session_hash), kept_token or "")
        max_bars = self.service.limits.upload.max_bars
        context = {"token": session.token, "examples": list(example_files()), "max_bars": max_bars}
        return blank_drawing() | context, self._takes(session)

    def _leave(self, request: gr.Request) -> None:
        self.service.sessions.leave(str(request.session_hash))

    def _fit_drawing(self, drawing: Drawing) -> tuple[Any, Any]:
        """Offer the tracks and bars of a file that was opened."""
        names = [str(track["name"]) for track in drawing.get("tracks", [])]
        bars = [number for number, _ in drawing.get("lines", [])]
        tracks = gr.update(
            choices=self.choices([AUTO]) + [(name, name) for name in names], value=AUTO, visible=len(names) > 1
        )
        return tracks, gr.update(value=min(2, max(bars)) if bars else 2)

    def _fit_task(self, task: str, model: str) -> tuple[Any, ...]:
        """Show the controls that apply to a task."""
        return (
            gr.update(visible=task == "continue"),
            gr.update(visible=task == "infill"),
            self._fit_given(task, model),
            gr.update(visible=self.is_directed(task, model)),
        )

    def _fit_given(self, task: str, model: str) -> Any:
        """Offer the parts of a model as given ones; to harmonize, an ensemble has its leading part given."""
        parts = self.service.parts(model)
        is_shown = task == "infill" if parts != VOICES else task != "continue"
        given = [VOICES[0]] if parts == VOICES and task != "infill" else []
        return gr.update(choices=self.choices(parts), value=given, visible=is_shown)

    def _fit_model(self, task: str, model: str) -> tuple[Any, ...]:
        """Show the controls that apply to a model."""
        styles = self.styles(model)
        return (
            gr.update(visible=self.service.generators[model].draws_tokens),
            gr.update(choices=self.choices(styles), value=styles[0], visible=len(styles) > 1),
            gr.update(visible=self.is_directed(task, model)),
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
            style=None if style == ANY_STYLE else style,
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
            "key": self.say.original((values[self.key] or "").strip()) or None,
            "phrases": parse_phrases(self.say.original((values[self.phrases] or "").strip()) or "auto"),
            "chords": parse_chords(values[self.chords] or ""),
            "harmonic_rhythm": None if rhythm == AUTO else rhythm,
        }

    def _run(
        self, session: Session, values: dict[Any, Any], work: Callable[[PageRequest], list[Take]]
    ) -> Iterator[tuple[Any, ...]]:
        """Run a request and show its progress, then its takes or its error."""
        if session.job is not None and session.job.is_running and not session.job.is_stopping:
            return  # the page has no button for a second request
        say, sketches = self.say, list[Sketch]()
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
                line = waiting_line(job.position, say) if job.position else progress_line(share, sketch, say)
                if line != shown:
                    shown = line
                    yield gr.skip(), line, gr.skip(), gr.skip()
            takes = job.result()
            names = " and ".join(filter(None, [", ".join(take.name for take in takes[:-1]), takes[-1].name]))
            player, line = self._takes(session, takes[0].number), message_line(say("{} written.", names))
        except StoppedError:
            line = message_line(say("Canceled."))
        except InputError as error:
            line = error_line(say.filled(for_page(error)))
        except Exception:  # the job has logged it
            line = error_line(say("An internal error occurred. The terminal has the details."))
        yield player, line, *_buttons(is_busy=False)

    def _cancel(self, request: gr.Request) -> tuple[Any, ...]:
        self._session(request).stop()
        return message_line(self.say("Canceled.")), *_buttons(is_busy=False)

    def _takes(self, session: Session, active: int | None = None) -> dict[str, Any]:
        """Return the value of the player: the takes, and which one to show."""
        takes = [{"number": take.number, "name": self.say.filled(take.name)} for take in session.takes]
        return {"token": session.token, "takes": takes, "active": active or (takes[-1]["number"] if takes else 0)}


def _buttons(*, is_busy: bool) -> tuple[Any, Any]:
    """Return the states of the buttons Write and Cancel."""
    return gr.update(interactive=not is_busy), gr.update(interactive=is_busy)
