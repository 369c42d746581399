"""The service behind the page and the HTTP API: models, limits, the queue, and the reader of files.

For the page, it also keeps sessions: melodies in, takes out.

Plain Python without Gradio. Every user error is an `InputError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from symusic.core import ScoreTick

from descant_modeling.api import Model, load
from descant_modeling.app.editor import Drawing, drawing_of_score, score_of_drawing, with_distinct_names
from descant_modeling.app.edits import edited, mended, names_of_locked, places_to_keep
from descant_modeling.app.jobs import JobQueue
from descant_modeling.app.reading import FileReader
from descant_modeling.app.requests import AppLimits, Locks, NoteChange, PageRequest
from descant_modeling.app.sessions import Session, Sessions, Take, runs_of
from descant_modeling.app.words import MODELS, remarks_for_page, shown_name
from descant_modeling.common.console import part_of
from descant_modeling.decoding.config import EngineName, GenerationConfig
from descant_modeling.evaluation.repair import repair_score
from descant_modeling.generation.base import GenerationResult, MusicGenerator, check_style
from descant_modeling.generation.ensembles import EnsembleGenerator
from descant_modeling.generation.multitrack import MultitrackGenerator
from descant_modeling.models.checkpoints import embedded_models
from descant_tokenizers.common.errors import InputError, MissingExtraError, printable
from descant_tokenizers.common.files import title_of
from descant_tokenizers.scores import VOICES, ReadResult, bars_of, read_score_report
from descant_tokenizers.scores.beats import with_beats
from descant_tokenizers.scores.played import is_played

__all__ = ["Service", "example_files"]

_DONE = {"harmonize": "harmonized", "continue": "continued", "infill": "bars rewritten"}


class Service:
    """Generators, sessions and the queue.

    Args:
        models: Names, folders or Hub ids, the default first; None for all embedded ones that write to a melody and
            need no extra that is not installed.
        limits: Limits on requests.
        device: Where models compute; None for automatic.
        engine: What runs Transformers, see `load`.

    Raises:
        InputError: There is no such model, or it does not write named parts to a melody.
    """

    def __init__(
        self,
        models: Sequence[str] | None = None,
        limits: AppLimits | None = None,
        device: str | None = None,
        engine: EngineName = "auto",
    ) -> None:
        self.limits = limits or AppLimits()
        self.sessions = Sessions(self.limits.num_sessions, self.limits.kept_takes)
        self.queue = JobQueue(self.limits.queue_length)
        self.short_queue = JobQueue(self.limits.queue_length)  # for what needs no model
        self.reader = FileReader()
        self.generators: dict[str, MusicGenerator] = {}
        rank = {name: place for place, name in enumerate(MODELS)}
        embedded = sorted(embedded_models(), key=lambda name: rank.get(name, len(rank)))
        for name in embedded if models is None else models:
            try:
                generator = load(name, device, engine).generator
            except MissingExtraError:
                if models is None:
                    continue
                raise
            if "harmonize" not in generator.tasks:
                reason = "writes music without a melody, and the page starts from one"
            elif isinstance(generator, MultitrackGenerator) and not isinstance(generator, EnsembleGenerator):
                reason = "writes any instruments, and the page is for four voices, songs and quartets"
            else:
                self.generators[name] = generator
                continue
            if models is not None:
                raise InputError(f"{name} {reason}. Use generate.py with it.")

    def read(self, data: bytes, name: str, **options: Any) -> ReadResult:
        """Read a file of somebody else's; see `parse_score` for the options.

        Raises:
            InputError: It cannot be read, or exceeds a limit.
        """
        shown = _shown_file(name)
        if len(data) > self.limits.upload.max_bytes:
            raise InputError(f"{shown} has more than {self.limits.upload.max_bytes:,} bytes. Cut it shorter.")
        read = self.reader.parse(shown, data, self.limits.upload, **options)
        self.limits.check(read.score, shown.name)
        return read

    def open_file(self, session: Session, data: bytes, name: str) -> Drawing:
        """Read an uploaded file for the editor.

        Raises:
            InputError: It cannot be read, or exceeds a limit.
        """
        return self._open(session, self.read(data, name), _shown_file(name))

    def _open(self, session: Session, read: ReadResult, path: Path) -> Drawing:
        named = with_beats(replace(read, score=with_distinct_names(read.score)))
        source = session.keep_source(named)
        return drawing_of_score(named.score, title_of(path.stem)) | {"source": source}

    def open_example(self, session: Session, title: str) -> Drawing:
        """Read one of `example_files` for the editor."""
        path = example_files().get(title)
        if path is None:
            raise InputError(f"There is no example '{printable(title, 60)}'. Reload the page.")
        return self._open(session, read_score_report(path), path)

    def music_of(self, session: Session, drawing: Mapping[str, Any]) -> ReadResult:
        """Return the music of a drawing: that of the uploaded file, unless it was edited.

        Raises:
            InputError: The drawing is empty, damaged or exceeds a limit, or the file is gone.
        """
        if not drawing.get("edited", True):
            return session.source_music(str(drawing.get("source")))
        score = score_of_drawing(drawing, self.limits.upload)
        self.limits.check(score, "the drawing")
        return ReadResult(score)

    def write(self, session: Session, drawing: Mapping[str, Any], request: PageRequest) -> list[Take]:
        """Write takes of a melody, and keep them.

        Raises:
            InputError: The melody or the request is invalid.
        """
        music = self.music_of(session, drawing)
        request = replace(request, score=music.score, phrase_ends=music.fermatas_ticks, music=music)
        self.check(request)
        result = self._generate(request)
        style = f" in the style {request.config.style}" if request.config.style else ""
        made = f"{_DONE[request.task]} by {shown_name(request.model)}{style}, seed {request.config.seed}"
        takes = [
            Take(
                number=next(session.numbers),
                title=str(drawing.get("title") or "Untitled")[:80],
                made=made,
                settings=request.settings | {"sample": index},
                score=sample.score,
                added=sample.added,
                request=request.configured(progress=None, on_bar=None),
                remarks=(*remarks_for_page(result.remarks), *result.silences),
                chords=sample.chords,
                phrases=(result.phrases, result.phrase_source),
            )
            for index, sample in enumerate(result.samples, start=1)
        ]
        _keep(session, takes, request)
        return takes

    def rewrite(
        self,
        session: Session,
        number: int,
        locks: Locks,
        request: PageRequest,
        chords: Sequence[str] | None = None,
    ) -> Take:
        """Write a take again except for what is locked, and keep it as another take.

        If nothing is locked, its request is repeated with another seed. Otherwise each run of unlocked bars is
        infilled, by a model that can (another one if the requested one only harmonizes).

        Args:
            session: The session.
            number: Number of the take.
            locks: What is locked.
            request: Model, seed and observers.
            chords: The chords of each bar, as in `Request.chords`; None for those of the take's request.

        Raises:
            InputError: Everything is locked, the take is gone, or a chord is none.
        """
        old, config = edited(session.take(number), locks.changes), request.config
        wanted = old.request if chords is None else replace(old.request, chords=tuple(chords))
        kept = names_of_locked(old, locks)
        if not locks.bars and not locks.voices and not locks.notes:
            observers = {"progress": config.progress, "on_bar": config.on_bar}
            result = self._generate(wanted.configured(num_samples=1, seed=config.seed, **observers))
            sample = result.samples[0]
            new = replace(
                old,
                score=sample.score,
                added=sample.added,
                remarks=(*remarks_for_page(result.remarks), *result.silences),
                chords=sample.chords,
                phrases=(result.phrases, result.phrase_source),
            )
            made = f"{old.name} again"
        else:
            name = self.infilling_model(request.model, old.request.model)
            new = self._infill(old, locks, name, replace(wanted, config=config))
            if name != request.model:
                remark = f"written by {shown_name(name)}, because {self._abilities(request.model)}"
                new = replace(new, remarks=(remark,))
            made = f"{old.name} but for {kept}"
        of_chords = "" if chords is None else " over these chords"
        take = replace(
            new,
            number=next(session.numbers),
            made=f"{made}{of_chords}, seed {config.seed}",
            settings={"rewritten": old.name, "locked": kept, "seed": config.seed, "chords": wanted.chords},
            request=wanted,
            stems={},
        )
        _keep(session, [take], request)
        return take

    def edit(self, session: Session, number: int, changes: Sequence[NoteChange], request: PageRequest) -> Take:
        """Keep a take with changes made by hand as another take.

        Raises:
            InputError: There is no change, the take or a note is gone, or a change is impossible.
        """
        if not changes:
            raise InputError("Nothing was changed. Edit a note first.")
        old = session.take(number)
        take = replace(
            edited(old, changes),
            number=next(session.numbers),
            made=f"{old.name}, edited by hand",
            settings={"edited": old.name, "changes": len(changes)},
        )
        _keep(session, [take], request)
        return take

    def mend(self, session: Session, number: int, faults: Sequence[int], locks: Locks, request: PageRequest) -> Take:
        """Mend faults of a take with the fewest new notes, and keep the result as another take.

        Args:
            session: The session.
            number: Number of the take.
            faults: Indices of faults in those of the take.
            locks: What is locked.
            request: Model, seed and observers.

        Raises:
            InputError: The take or a fault is gone, or its notes are locked or the user's own.
        """
        old, config = session.take(number), request.config
        if old.checked is None or not faults or not all(0 <= index < len(old.checked.faults) for index in faults):
            raise InputError("These faults are no longer here. Choose the take again.")
        free = [voice for voice in VOICES if voice not in old.own_voices and voice not in locks.voices]
        if not free:
            raise InputError("Every voice is locked, so there is nothing to mend. Unlock one.")
        wanted = [old.checked.faults[index] for index in faults]
        model = Model(self.generators[self.infilling_model(request.model)])
        repair = repair_score(model, old.checked, wanted, free, GenerationConfig(seed=config.seed), config.progress)
        take = mended(old, repair, locks)
        done, total = len(repair.mended), len(wanted)
        if not done:
            raise InputError("No other notes mend this without a new fault. Unlock voices, or write another take.")
        take = replace(
            take,
            number=next(session.numbers),
            made=f"{old.name} with {done} of {total} faults mended" if total > 1 else f"{old.name}, mended",
            settings={"rewritten": old.name, "mended": [place.facts() for place in repair.mended], "seed": config.seed},
        )
        _keep(session, [take], request)
        return take

    def parts(self, name: str) -> tuple[str, ...]:
        """Return the parts that a model writes; the four voices for a model that is not here."""
        generator = self.generators.get(name)
        return generator.ensemble.tracks if isinstance(generator, EnsembleGenerator) else VOICES

    def infilling_model(self, name: str, writer: str | None = None) -> str:
        """Return a model that can infill bars, this one if it can.

        Args:
            name: The model.
            writer: The model whose parts the music has; by default it has four voices.
        """
        parts = VOICES if writer is None else self.parts(writer)
        able = [
            other
            for other in (name, *([] if writer is None else [writer]), *self.generators)
            if other in self.generators and "infill" in self.generators[other].tasks and self.parts(other) == parts
        ]
        if not able:
            raise InputError(f"{self._abilities(name)}, and so cannot keep bars or voices. Unlock them.")
        return able[0]

    def _abilities(self, name: str) -> str:
        """Return a sentence about the tasks of a model that lacks one, or about its parts."""
        generator = self.generators[name]
        if isinstance(generator, EnsembleGenerator):
            return f"{shown_name(name)} only writes for {generator.ensemble.scoring}"
        return f"{shown_name(name)} only {' and '.join(f'{task}s' for task in generator.tasks)}"

    def _generate(self, request: PageRequest) -> GenerationResult:
        """Run the request's model; options that it lacks are ignored."""
        generator, config = self.generators[request.model], request.config
        if not generator.draws_tokens:
            config = replace(config, temperature=GenerationConfig.temperature)
        if config.style not in generator.styles:
            config = replace(config, style=None)
        if not generator.has_hints:
            request = replace(request, key=None, phrases=None, chords=(), harmonic_rhythm=None)
            last_chord = GenerationConfig.last_chord if isinstance(generator, EnsembleGenerator) else "any"
            config = replace(config, last_chord=last_chord)
        return Model(generator).generate(request.music, request, config)

    def _infill(self, old: Take, locks: Locks, model: str, request: PageRequest) -> Take:
        """Infill each run of unlocked bars of a take, as the request that it is from says."""
        bars = bars_of(old.score)
        runs = runs_of(range(len(bars)), locks.bars | set(old.own_bars))
        tracks = [track.name for track in old.score.tracks if track.notes]
        given = tuple(name for name in tracks if name in locks.voices or name in old.own_voices)
        if not runs:
            raise InputError("Every bar is locked, so there is nothing to write. Unlock one.")
        if len(given) == len(tracks):
            raise InputError("Every voice is locked, so there is nothing to write. Unlock one.")
        score, added, chords = old.score, old.added, old.chords
        places = places_to_keep(old, locks.notes)
        for index, (first, last) in enumerate(runs):
            numbers = (bars[first].number, bars[last].number)
            part = replace(request, task="infill", score=score, given=given, track=None, bars=numbers, model=model)
            has_found_beats = request.music is not None and request.music.has_found_beats
            quantize = None if has_found_beats or is_played(request.prompt) else False  # as the melody was
            music = ReadResult(score, has_found_beats=has_found_beats)
            finer = score.ticks_per_quarter // old.score.ticks_per_quarter
            span = range(bars[first].start_ticks, bars[last].end_ticks)
            own = [place.scaled(finer) for place in places if place.voice not in given and place.onset_ticks in span]
            ends = _rescaled(request, score)
            part = replace(part, phrase_ends=ends, music=music, fixed=tuple(own), quantize=quantize)
            progress = part_of(request.config.progress, index / len(runs), 1 / len(runs))
            last_chord = request.config.last_chord if last == len(bars) - 1 else "any"
            part = part.configured(
                num_samples=1, seed=request.config.seed + index, last_chord=last_chord, progress=progress
            )
            sample = self._generate(part).samples[0]
            scale = score.ticks_per_quarter // old.score.ticks_per_quarter
            start, end = bars[first].start_ticks * scale, bars[last].end_ticks * scale
            finer = sample.score.ticks_per_quarter // score.ticks_per_quarter  # the result's resolution may be higher
            kept = {note for note in added if note[0] in given or not start <= note[1] < end}
            kept |= {(place.voice, place.onset_ticks, place.pitches[0]) for place in own}
            added = frozenset((voice, time * finer, pitch) for voice, time, pitch in kept) | sample.added
            score = sample.score
            if sample.chords:
                before = chords or ("",) * len(sample.chords)
                chords = tuple(new or kept for new, kept in zip(sample.chords, before, strict=True))
        return replace(old, score=score, added=added, remarks=(), chords=chords)

    def check(self, request: PageRequest) -> None:
        """Check a request before it waits for its turn.

        Raises:
            InputError: Its model is not here or lacks the task or style, or it asks for too much.
        """
        limits, config = self.limits, request.config
        if request.model not in self.generators:
            raise InputError(f"There is no model '{request.model}' here. Choose {', '.join(self.generators)}.")
        generator = self.generators[request.model]
        if request.task not in generator.tasks:
            raise InputError(f"{self._abilities(request.model)}. Choose another model or task.")
        check_style(config.style, generator.styles)
        if not 1 <= config.num_samples <= limits.max_takes:
            raise InputError(f"The number of samples is {config.num_samples}. Give 1 to {limits.max_takes}.")
        if request.task == "continue" and not 1 <= request.new_bars() <= limits.max_new_bars:
            raise InputError(f"The number of bars is {request.num_bars}. Give 1 to {limits.max_new_bars}.")


def _shown_file(name: str) -> Path:
    """Return the name of an uploaded file for messages."""
    return Path(printable(Path(name).name, 60) or "the file")


def _keep(session: Session, takes: Sequence[Take], request: PageRequest) -> None:
    """Keep takes, unless the request is stopped at the last moment."""
    if request.config.progress is not None:
        request.config.progress(1.0)
    session.keep(takes)


def _rescaled(request: PageRequest, score: ScoreTick) -> tuple[int, ...]:
    """Return a request's phrase ends in the ticks of a score that was written to its prompt."""
    finer = score.ticks_per_quarter // request.prompt.ticks_per_quarter
    return tuple(tick * finer for tick in request.phrase_ends)


def example_files() -> dict[str, Path]:
    """Return the example melodies by title: those of the package, or of the checkout around it."""
    folders = [Path(__file__).parent / "examples", Path(__file__).parents[3] / "examples"]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    files = sorted(folder.iterdir()) if folder else []
    return {title_of(file.stem): file for file in files if file.suffix in (".mid", ".abc", ".musicxml")}
