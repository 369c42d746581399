"""Requests of the page and of the HTTP API, and the limits on them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from symusic.core import ScoreTick

from descant_modeling.common import EMBEDDED_DEFAULT
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.generation.base import Request
from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores import Limits, ReadResult

__all__ = ["AppLimits", "Locks", "NoteChange", "PageRequest", "parse_seed"]


@dataclass(frozen=True)
class PageRequest(Request):
    """A request with the name of the model and the options; `num_samples` is the number of takes.

    Attributes:
        model: Name of the model.
        config: Options.
        music: The file whose score is the prompt, with its repeats and beats; None for a drawing.
    """

    model: str = EMBEDDED_DEFAULT
    music: ReadResult | None = field(default=None, repr=False)
    config: GenerationConfig = field(default_factory=GenerationConfig)

    def configured(self, **options: Any) -> PageRequest:
        """Return a copy with other options of generation."""
        return replace(self, config=replace(self.config, **options))

    @property
    def settings(self) -> dict[str, Any]:
        """The request as JSON."""
        names = ("task", "model", "given", "track", "bars", "num_bars", "key", "phrases", "chords", "harmonic_rhythm")
        values = {name: getattr(self, name) for name in names}
        values |= {name: getattr(self.config, name) for name in ("num_samples", "seed", "sound", "style", "last_chord")}
        return values | {"temperature": self.config.temperature}


@dataclass(frozen=True)
class NoteChange:
    """A note of a take that was moved, stretched, added (without `before`) or deleted (without `after`).

    Attributes:
        voice: Name of its track.
        before: Onset in ticks and pitch in the take.
        after: Onset and length in ticks, and pitch.
    """

    voice: str
    before: tuple[int, int] | None
    after: tuple[int, int, int] | None


@dataclass(frozen=True)
class Locks:
    """What to keep when a take is written again: bars (by index), tracks (by name) and single notes.

    Attributes:
        bars: Indices of bars.
        voices: Names of tracks.
        notes: Voice, onset in ticks and pitch of notes, after the changes.
        changes: Changes of single notes that come first.
    """

    bars: frozenset[int] = frozenset()
    voices: frozenset[str] = frozenset()
    notes: frozenset[tuple[str, int, int]] = frozenset()
    changes: tuple[NoteChange, ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Locks:
        """Read what a browser sent."""
        notes = ((str(voice), int(onset), int(pitch)) for voice, onset, pitch in values.get("notes", ()))
        changes = (
            NoteChange(str(voice), before and (int(before[0]), int(before[1])), after and _three(after))
            for voice, before, after in values.get("changes", ())
        )
        bars, voices = frozenset(map(int, values["bars"])), frozenset(map(str, values["voices"]))
        return cls(bars, voices, frozenset(notes), tuple(changes))


def _three(values: Sequence[Any]) -> tuple[int, int, int]:
    first, second, third = map(int, values)
    return first, second, third


def parse_seed(text: str) -> int:
    """Read a seed; draw one from an empty text.

    Raises:
        InputError: It is not a number from 0 on.
    """
    digits = text.strip()
    if not digits:
        return secrets.randbelow(2**31 - 1)
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 19):
        raise InputError(f"The seed is '{printable(digits, 30)}'. Give a whole number, 0 or more, or nothing.")
    return int(digits)


@dataclass(frozen=True)
class AppLimits:
    """Limits on what one session, and all of them together, can request.

    Attributes:
        upload: Bytes, notes and bars of a file.
        max_minutes: Playing time of a file.
        max_tracks: Tracks of a file; each is a voice to engrave and a sound to render.
        max_request_bytes: Body of any request; the drawing of a file is larger than the file.
        max_new_bars: Bars that can be added at once.
        max_takes: Takes that can be written at once.
        kept_takes: Takes that a session keeps; the oldest ones are dropped.
        request_seconds: Time limit of one request to read, write, engrave, synthesize or pack, without the wait in the
            queue.
        queue_length: Requests that can wait; one is written at a time.
        num_sessions: Sessions that are kept; the longest inactive ones are dropped.
        kept_jobs: Ended jobs of the HTTP API that are kept; the oldest ones are dropped.
        kept_bytes: Size of their files together.
    """

    upload: Limits = field(
        default_factory=lambda: Limits(max_bytes=2**20, max_notes=4_000, max_events=50_000, max_bars=128)
    )
    max_minutes: float = 8.0
    max_tracks: int = 32
    max_request_bytes: int = 4 * 2**20
    max_new_bars: int = 16
    max_takes: int = 4
    kept_takes: int = 8
    request_seconds: float = 300.0
    queue_length: int = 12
    num_sessions: int = 24
    kept_jobs: int = 16
    kept_bytes: int = 256 * 2**20

    def facts(self) -> dict[str, int | float]:
        """Return the limits for JSON."""
        own = {name: value for name, value in vars(self).items() if name != "upload"}
        return {f"max_file_{name.removeprefix('max_')}": value for name, value in asdict(self.upload).items()} | own

    def check(self, score: ScoreTick, name: str) -> None:
        """Raise an `InputError` if a score plays too long or has too many tracks."""
        if len(score.tracks) > self.max_tracks:
            raise InputError(
                f"{name} has {len(score.tracks):,} tracks, and at most {self.max_tracks} are accepted. Delete some."
            )
        minutes = float(score.to("second").end()) / 60  # type: ignore[attr-defined]  # typed as object
        if minutes > self.max_minutes:
            raise InputError(
                f"{name} plays for {minutes:.0f} minutes, and at most {self.max_minutes:g} are accepted. "
                "Cut it, or raise its tempo."
            )

    def sentence(self) -> str:
        """Describe the limits of a file."""
        return (
            f"up to {self.upload.max_bytes // 2**20} MB, {self.upload.max_notes:,} notes, {self.upload.max_bars} bars, "
            f"{self.max_tracks} tracks and {self.max_minutes:g} minutes"
        )
