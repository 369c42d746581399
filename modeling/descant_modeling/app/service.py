"""The service behind the page: melodies in, versions out.

Every method is plain Python, raises an `InputError` in one sentence for whatever a visitor does wrong, and knows
nothing of browsers.

Melodies to try, and what files and their tracks are called on the page.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from symusic.core import ScoreTick

from descant_modeling.api import Model, Options, load
from descant_modeling.app.editor import Drawing, drawing_of_score, score_of_drawing
from descant_modeling.app.jobs import JobQueue
from descant_modeling.app.requests import AppLimits, Listener, Locks, PageRequest
from descant_modeling.app.sessions import AddedNotes, Session, Sessions, Take, runs_of
from descant_modeling.common.console import quiet_libraries
from descant_modeling.generation.base import MusicGenerator, Sample, UnconditionalGenerator, check_style
from descant_modeling.models.checkpoints import EMBEDDED_DEFAULT, embedded_models
from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores import bars_of
from descant_tokenizers.scores.reading import parse_score

__all__ = ["Service", "example_files", "for_page", "shown_name", "title_of", "with_names"]


def example_files() -> dict[str, Path]:
    """Return the melodies to try by title: those of the package, or of the checkout around it."""
    folders = [Path(__file__).parent / "examples", Path(__file__).parents[3] / "examples"]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    files = sorted(folder.iterdir()) if folder else []
    return {title_of(file): file for file in files if file.suffix in (".mid", ".abc", ".musicxml")}


def title_of(path: Path) -> str:
    """Return what a file's music is called."""
    return path.stem.replace("-", " ").replace("_", " ").capitalize()


def with_names(score: ScoreTick) -> ScoreTick:
    """Return a copy whose tracks can be told apart by name."""
    named = score.copy()
    seen: set[str] = set()
    for number, track in enumerate(named.tracks, start=1):
        if not track.name.strip() or track.name in seen:
            track.name = f"{track.name.strip()} {number}".strip() if track.name.strip() else f"Track {number}"
        seen.add(track.name)
    return named


_MAX_SEED = 2**31 - 1
_NOBODY = Listener()
_CONTROLS = {
    "with --track one of": "as the melody's track one of",
    "--track": "the melody's track",
    "--given": "the given voices",
    "--task": "the task",
    "--style": "the style",
    "--model": "model",
    "--bars": "the bars",
}


class Service:
    """Models and visitors.

    Args:
        models: Names, folders or Hub ids; the first one is offered first. By default all embedded ones that write to a
            melody.
        limits: Bounds on everything.
        device: Where models compute; chosen by itself if None.

    Raises:
        InputError: There is no such model, or it does not write voices.
    """

    def __init__(
        self, models: Sequence[str] | None = None, limits: AppLimits | None = None, device: str | None = None
    ) -> None:
        self.limits = limits or AppLimits()
        self.models: dict[str, Model]
        if models is not None:
            self.models = {name: _loaded(name, device) for name in models}
        else:
            names = sorted(embedded_models(), key=lambda name: (name != EMBEDDED_DEFAULT, name))
            found = {name: load(name, device) for name in names}
            self.models = {name: model for name, model in found.items() if _why_not(name, model) is None}
        self.visitors = Sessions(self.limits.num_visitors, self.limits.kept_versions)
        self.line = JobQueue(self.limits.queue_length)

    def writer(self, name: str) -> MusicGenerator:
        """Return what a model is asked through."""
        writer = self.models[name].writer
        assert not isinstance(writer, UnconditionalGenerator), "refused when it was loaded"
        return writer

    def open_file(self, visitor: Session, data: bytes, name: str) -> Drawing:
        """Read a visitor's file for the editor.

        Args:
            visitor: Who.
            data: The whole file.
            name: What the visitor calls it.

        Raises:
            InputError: It cannot be read, or is beyond a bound.
        """
        shown = Path(printable(Path(name).name, 60) or "the file")
        if len(data) > self.limits.upload.max_bytes:
            raise InputError(f"{shown} has more than {self.limits.upload.max_bytes:,} bytes; cut it shorter.")
        with quiet_libraries():
            score = with_names(parse_score(shown, data, self.limits.upload).score)
        self.limits.check_length(score, shown.name)
        return drawing_of_score(score, title_of(shown)) | {"source": visitor.take_source(score)}

    def open_example(self, visitor: Session, title: str) -> Drawing:
        """Read one of `example_files` for the editor.

        Raises:
            InputError: There is no such example.
        """
        path = example_files().get(title)
        if path is None:
            raise InputError(f"there is no example '{printable(title, 60)}'; reload the page.")
        return self.open_file(visitor, path.read_bytes(), path.name)

    def score_of(self, visitor: Session, drawing: Mapping[str, Any]) -> ScoreTick:
        """Return the score that a drawing stands for: the file as it was, unless it was edited.

        Raises:
            InputError: The drawing is empty, damaged or beyond a bound, or the file is gone.
        """
        if not drawing.get("edited", True):
            return visitor.score_of(str(drawing.get("source")))
        score = score_of_drawing(drawing, self.limits.upload)
        self.limits.check_length(score, "the drawing")
        return score

    def write(
        self, visitor: Session, drawing: Mapping[str, Any], wishes: PageRequest, listener: Listener = _NOBODY
    ) -> list[Take]:
        """Write versions of a melody, and keep them.

        Raises:
            InputError: The melody or the wishes do not fit.
        """
        score = self.score_of(visitor, drawing)
        self._check(wishes)
        title = str(drawing.get("title") or "Untitled")[:80]
        seed = secrets.randbelow(_MAX_SEED) if wishes.seed is None else wishes.seed
        samples, remarks = self._samples(score, wishes, seed, listener)
        settings = asdict(wishes) | {"seed": seed}
        versions = [
            Take(
                number=visitor.next_number(),
                title=title,
                made=_made(wishes, seed),
                settings=settings | {"version_of_seed": index + 1},
                score=sample.score,
                added=sample.added,
                remarks=remarks,
                again=partial(self._one_more, score, wishes),
            )
            for index, sample in enumerate(samples)
        ]
        listener.is_done()
        visitor.keep(versions)
        return versions

    def rewrite(
        self, visitor: Session, number: int, locks: Locks, wishes: PageRequest, listener: Listener = _NOBODY
    ) -> Take:
        """Write a version again but for what is locked, and keep it as another one.

        Where nothing is locked, the whole request is made once more. Else each stretch of bars that are not locked is
        filled in turn, by a model that can (the embedded one, where the visitor's only harmonizes).

        Raises:
            InputError: Everything is locked, or the version is gone.
        """
        old = visitor.version(number)
        seed = secrets.randbelow(_MAX_SEED) if wishes.seed is None else wishes.seed
        remarks: tuple[str, ...] = ()
        if not locks.bars and not locks.voices and old.again is not None:
            again = old.again(seed, listener)
            score, added = again.score, again.added
            made = f"{old.name} again, seed {seed}"
        else:
            name = self._filler(wishes.model)
            if name != wishes.model:
                remarks = (f"written by {shown_name(name)}, because {shown_name(wishes.model)} only harmonizes",)
            score, added = self._refilled(old, locks, replace(wishes, model=name), seed, listener)
            made = f"{old.name} but for {_said(old, locks)}, seed {seed}"
        version = Take(
            number=visitor.next_number(),
            title=old.title,
            made=made,
            settings={"rewritten": old.name, "locked": _said(old, locks), "seed": seed},
            score=score,
            added=added,
            remarks=remarks,
            again=old.again,
        )
        listener.is_done()
        visitor.keep([version])
        return version

    def _filler(self, name: str) -> str:
        """Return a model that can fill bars, this one if it can."""
        able = [other for other in (name, *self.models) if "infill" in self.writer(other).tasks]
        if not able:
            raise InputError(f"{shown_name(name)} only harmonizes, and so cannot keep bars or voices; unlock them.")
        return able[0]

    def _samples(
        self, score: ScoreTick, wishes: PageRequest, seed: int, listener: Listener
    ) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
        model = self.models[wishes.model]
        options = self._options(wishes, seed, listener)
        given = wishes.given or None
        if wishes.task == "harmonize":
            result = model.harmonize(score, given=given, track=wishes.track, **options)
        elif wishes.task == "continue":
            result = model.continue_(score, bars=wishes.num_bars, track=wishes.track, **options)
        else:
            result = model.infill(score, bars=wishes.bars, given=given, **options)
        return result.samples, (*result.remarks, *result.silences)

    def _one_more(self, score: ScoreTick, wishes: PageRequest, seed: int, listener: Listener) -> Sample:
        return self._samples(score, replace(wishes, num_particles=1), seed, listener)[0][0]

    def _options(self, wishes: PageRequest, seed: int, listener: Listener) -> Options:
        options: Options = {"seed": seed, "num_samples": wishes.num_particles, "sound": wishes.sound}
        options |= {"progress": listener.progress, "on_bar": listener.on_bar}
        if self.writer(wishes.model).draws_tokens:
            options["temperature"] = wishes.temperature
        if wishes.style is not None and wishes.style in self.writer(wishes.model).styles:
            options["style"] = wishes.style
        return options

    def _refilled(
        self, old: Take, locks: Locks, wishes: PageRequest, seed: int, listener: Listener
    ) -> tuple[ScoreTick, AddedNotes]:
        bars = bars_of(old.score)
        runs = runs_of(range(len(bars)), locks.bars | set(old.own_bars))
        tracks = [track.name for track in old.score.tracks if track.notes]
        given = [name for name in tracks if name in locks.voices or name in old.own_voices]
        if not runs or len(given) == len(tracks):
            what = "bar" if not runs else "voice"
            raise InputError(f"every {what} is locked, so there is nothing to write; unlock one.")
        score, added = old.score, old.added
        for index, (first, last) in enumerate(runs):
            part = listener.part(index / len(runs), 1 / len(runs))
            options = self._options(replace(wishes, num_particles=1), seed + index, part)
            numbers = (bars[first].number, bars[last].number)
            sample = self.models[wishes.model].infill(score, bars=numbers, given=given, **options).samples[0]
            # The result may be finer than what went in.
            scale = sample.score.ticks_per_quarter // score.ticks_per_quarter
            start, end = bars[first].start_ticks, bars[last].end_ticks
            scale_of_bars = score.ticks_per_quarter // old.score.ticks_per_quarter
            start, end = start * scale_of_bars, end * scale_of_bars
            stays = {n for n in added if n[0] in given or not start <= n[1] < end}
            added = frozenset((voice, time * scale, pitch) for voice, time, pitch in stays) | sample.added
            score = sample.score
        return score, added

    def _check(self, wishes: PageRequest) -> None:
        limits = self.limits
        if wishes.model not in self.models:
            raise InputError(f"there is no model '{wishes.model}' here; choose {', '.join(self.models)}.")
        if wishes.task not in self.writer(wishes.model).tasks:
            raise InputError(f"{shown_name(wishes.model)} only harmonizes; choose another model, or another task.")
        check_style(wishes.style, self.writer(wishes.model).styles)
        if not 1 <= wishes.num_particles <= limits.max_versions:
            raise InputError(f"the number of versions is {wishes.num_particles}; give 1 to {limits.max_versions}.")
        if wishes.task == "continue" and not 1 <= wishes.num_bars <= limits.max_new_bars:
            raise InputError(f"the number of bars is {wishes.num_bars}; give 1 to {limits.max_new_bars}.")


def shown_name(name: str) -> str:
    """Return what a model is called on the page: a folder by its own name only."""
    return Path(name).name if Path(name).is_dir() else name


def for_page(error: Exception) -> str:
    """Return an error's sentence in the words of the page, which has no options with two dashes."""
    sentence = str(error)
    for option, control in _CONTROLS.items():
        sentence = sentence.replace(option, control)
    return sentence[:1].upper() + sentence[1:]


def _loaded(name: str, device: str | None) -> Model:
    model = load(name, device)
    reason = _why_not(name, model)
    if reason is not None:
        raise InputError(reason)
    return model


def _why_not(name: str, model: Model) -> str | None:
    """Say why a model is not for the page; None if it is."""
    if isinstance(model.writer, UnconditionalGenerator):
        return f"{name} writes music from nothing, and the page begins with a melody; use generate.py with it."
    vocabulary = getattr(getattr(model.writer, "checkpoint", None), "vocabulary", None)
    if vocabulary is not None and not vocabulary.is_four_part:
        return f"{name} writes any instruments, and the page is for four voices; use generate.py with it."
    return None


def _made(wishes: PageRequest, seed: int) -> str:
    done = {"harmonize": "harmonized", "continue": "continued", "infill": "bars rewritten"}[wishes.task]
    manner = f" in the style {wishes.style}" if wishes.style else ""
    return f"{done} by {shown_name(wishes.model)}{manner}, seed {seed}"


def _said(version: Take, locks: Locks) -> str:
    """Name what is locked."""
    bars = bars_of(version.score)
    own = set(version.own_bars)
    runs = runs_of(sorted(index for index in locks.bars if index < len(bars)), own)
    parts = [f"{bars[a].number}" if a == b else f"{bars[a].number}-{bars[b].number}" for a, b in runs]
    said = [f"bar{'s' * (len(parts) > 1 or '-' in parts[0])} {', '.join(parts)}"] if parts else []
    voices: Collection[str] = [t.name for t in version.score.tracks if t.name in locks.voices]
    return " and ".join([*said, *([", ".join(voices)] if voices else [])]) or "nothing"
