"""What a visitor asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from descant_modeling.checkpoints import EMBEDDED_DEFAULT
from descant_modeling.decoding.defaults import TEMPERATURE
from descant_modeling.progress import part_of
from descant_modeling.writing import OnSketch, Progress
from descant_tokenizers.errors import InputError, printable

__all__ = ["ANY_STYLE", "BY_ITSELF", "Listener", "Locks", "Wishes", "wishes_of_controls"]

BY_ITSELF = "chosen by itself"
ANY_STYLE = "any"


@dataclass(frozen=True)
class Wishes:
    """What a visitor asks for.

    Attributes:
        task: What to write.
        model: Name of the model.
        given: Voices that the melody's tracks are (harmonize), or that stay inside the bars (infill).
        track: The melody's track, by name; chosen by itself if None.
        bars: First and last bar to infill.
        num_bars: Bars to continue by.
        num_versions: How many.
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
    num_versions: int = 1
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

    progress: Progress | None = None
    on_bar: OnSketch | None = None

    def part(self, done: float, share: float) -> Listener:
        """Return what hears a part, of which the whole has `share`, and of which `done` was done before."""
        return replace(self, progress=part_of(self.progress, done, share))

    def is_done(self) -> None:
        """Say that it is done: the last moment to be stopped."""
        if self.progress is not None:
            self.progress(1.0)


def wishes_of_controls(
    task: Any,
    model: str,
    num_versions: float,
    num_bars: float,
    first_bar: float | None,
    last_bar: float | None,
    temperature: float,
    seed: str,
    sound: str,
    given: list[str],
    track: str | None,
    style: str | None,
) -> Wishes:
    """Read the page's controls, in the order in which the page names them.

    Raises:
        InputError: Something is missing or is no number.
    """
    if task == "infill" and (first_bar is None or last_bar is None):
        raise InputError("the bars to rewrite are missing; give the first and the last one.")
    return Wishes(
        task=task,
        model=model,
        given=tuple(given) if task != "continue" else (),
        track=None if track in (None, BY_ITSELF) or task == "infill" else track,
        bars=(int(first_bar or 0), int(last_bar or 0)),
        num_bars=int(num_bars),
        num_versions=int(num_versions),
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
