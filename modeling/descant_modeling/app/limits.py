"""How much the page takes on."""

from __future__ import annotations

from dataclasses import dataclass, field

from symusic.core import ScoreTick

from descant_tokenizers.errors import InputError
from descant_tokenizers.scores import Limits

__all__ = ["AppLimits"]


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
