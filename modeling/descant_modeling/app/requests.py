"""What a visitor asks for.

How much the page takes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from symusic.core import ScoreTick

from descant_modeling.common.console import part_of
from descant_modeling.decoding.config import TEMPERATURE
from descant_modeling.generation.base import OnProgress, OnSketch
from descant_modeling.models.checkpoints import EMBEDDED_DEFAULT
from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores import Limits

__all__ = ["ANY_STYLE", "BY_ITSELF", "AppLimits", "Listener", "Locks", "PageRequest", "request_of_controls"]

BY_ITSELF = "chosen by itself"
ANY_STYLE = "any"


@dataclass(frozen=True)
class PageRequest:
    """What a visitor asks for.

    Attributes:
        task: What to write.
        model: Name of the model.
        given: Voices that the melody's tracks are (harmonize), or that stay inside the bars (infill).
        track: The melody's track, by name; chosen by itself if None.
        bars: First and last bar to infill.
        num_bars: Bars to continue by.
        num_particles: How many.
        temperature: Below 1 safer, above 1 bolder; a model that draws no tokens does not hear of it.
        seed: Same seed, same music; drawn if None.
        sound: Sound of the written voices.
        style: In whose manner, for a model that knows styles; None leaves it to the model.
    """

    task: Literal["harmonize", "continue", "infill"] = "harmonize"
    model: str = EMBEDDED_DEFAULT
    given: tuple[str, ...] = ()
    track: str | None = None
    bars: tuple[int, int] = (1, 1)
    num_bars: int = 4
    num_particles: int = 1
    temperature: float = TEMPERATURE
    seed: int | None = None
    sound: str = "choir"
    style: str | None = None


@dataclass(frozen=True)
class Locks:
    """What stays when a version is written again.

    Attributes:
        bars: Indices of bars.
        voices: Names of tracks.
    """

    bars: frozenset[int] = frozenset()
    voices: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Listener:
    """Who hears how far the writing is.

    Attributes:
        progress: Takes the share done, 0-1; it may stop the writing by raising.
        on_bar: Takes what is written so far, of a model that writes bar by bar.
    """

    progress: OnProgress | None = None
    on_bar: OnSketch | None = None

    def part(self, done: float, share: float) -> Listener:
        """Return what hears a part, of which the whole has `share`, and of which `done` was done before."""
        return replace(self, progress=part_of(self.progress, done, share))

    def is_done(self) -> None:
        """Say that it is done: the last moment to be stopped."""
        if self.progress is not None:
            self.progress(1.0)


def request_of_controls(
    task: Any,
    model: str,
    num_particles: float,
    num_bars: float,
    first_bar: float | None,
    last_bar: float | None,
    temperature: float,
    seed: str,
    sound: str,
    given: list[str],
    track: str | None,
    style: str | None,
) -> PageRequest:
    """Read the page's controls, in the order in which the page names them.

    Raises:
        InputError: Something is missing or is no number.
    """
    if task == "infill" and (first_bar is None or last_bar is None):
        raise InputError("the bars to rewrite are missing; give the first and the last one.")
    return PageRequest(
        task=task,
        model=model,
        given=tuple(given) if task != "continue" else (),
        track=None if track in (None, BY_ITSELF) or task == "infill" else track,
        bars=(int(first_bar or 0), int(last_bar or 0)),
        num_bars=int(num_bars),
        num_particles=int(num_particles),
        temperature=float(temperature),
        seed=_seed(seed),
        sound=sound,
        style=None if style == ANY_STYLE else style,
    )


def _seed(text: str) -> int | None:
    """Read a seed; None where nothing was typed."""
    plain = text.strip()
    if not plain:
        return None
    if not (plain.isascii() and plain.isdecimal() and len(plain) < 19):
        raise InputError(f"the seed is '{printable(plain, 30)}'; give a whole number from 0 on, or nothing.")
    return int(plain)


@dataclass(frozen=True)
class AppLimits:
    """Bounds on what one visitor, and all of them together, can ask for.

    Attributes:
        upload: Bytes, notes and bars of a file.
        max_minutes: Length of what is played.
        max_new_bars: Bars that may be added at once.
        max_versions: Versions that are written at once.
        kept_versions: Versions of one visitor that are kept; the oldest ones go.
        request_seconds: Time for one request, be it to read, write, engrave, play or pack; the wait for others before
            writing does not count.
        queue_length: Requests that wait; one is written at a time.
        num_visitors: Visitors whose versions are kept; those who have been quiet for longest go.
    """

    upload: Limits = field(
        default_factory=lambda: Limits(max_bytes=2**20, max_notes=4_000, max_events=50_000, max_bars=128)
    )
    max_minutes: float = 8.0
    max_new_bars: int = 16
    max_versions: int = 4
    kept_versions: int = 8
    request_seconds: float = 300.0
    queue_length: int = 12
    num_visitors: int = 24

    def check_length(self, score: ScoreTick, name: str) -> None:
        """Raise an `InputError` if a score plays for too long."""
        minutes = float(score.to("second").end()) / 60  # type: ignore[attr-defined]  # typed as object
        if minutes > self.max_minutes:
            raise InputError(
                f"{name} plays for {minutes:.0f} minutes, and at most {self.max_minutes:g} are taken here; "
                "cut it, or raise its tempo."
            )

    def sentence(self) -> str:
        """Say the bounds on a file."""
        return (
            f"up to {self.upload.max_bytes // 2**20} MB, {self.upload.max_notes:,} notes, {self.upload.max_bars} bars "
            f"and {self.max_minutes:g} minutes"
        )
