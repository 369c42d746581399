"""A folder of the user's own files as a corpus: MIDI, MusicXML, ABC and Humdrum, mixed, of any number of tracks."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from symusic.core import ScoreTick, TrackTick

from descant_tokenizers.corpora.reading import Reading, four_voices
from descant_tokenizers.corpora.splits import FOLDER_SPLITS, split_of_digest
from descant_tokenizers.errors import InputError, printable
from descant_tokenizers.scores import SUFFIXES, VOICES, read_score_report
from descant_tokenizers.scores.voices import tracks_by_name, tracks_by_pitch

Parts = Literal["auto", "all"]
"""`auto`: four voices where a file has them, every track where not; `all`: every track of every file, as it is."""

UNKNOWN_LICENCE = "unknown (user files)"


def score_files(folder: Path) -> list[Path]:
    """List the score files under a folder, hidden ones left out, in the order of their relative paths.

    Args:
        folder: An existing folder; its subfolders are searched too.

    Returns:
        At least one path.

    Raises:
        InputError: There is no such folder, or no score file in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give a folder of score files.")
    found = [
        Path(root, name).relative_to(folder)
        for root, _, names in os.walk(folder)
        for name in names
        if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
    ]
    if not found:
        raise InputError(f"{folder} holds no score file ({', '.join(SUFFIXES)}); give a folder that does.")
    return [folder / path for path in sorted(found, key=Path.as_posix)]


def read_file(path: Path, parts: Parts = "auto") -> Reading:
    """Read a score file of any kind.

    With `auto`, four voices are taken where a file has them: tracks named Soprano, Alto, Tenor and Bass (or S, A, T, B;
    case does not count), or exactly four tracks, none of them drums and each one note at a time, by median pitch from
    high to low. Every other file, and with `all` every file, keeps its tracks as they are: names, programs, drums,
    velocities and tempos.

    Args:
        path: A MIDI, MusicXML, ABC or Humdrum file.
        parts: Whether to look for four voices.

    Returns:
        The score.

    Raises:
        InputError: The file cannot be read.
    """
    read = read_score_report(path)
    tracks = list(read.score.tracks)
    chosen = _named_tracks(tracks) or _single_lines(tracks) if parts == "auto" else []
    if not chosen:
        return Reading(read.score, len(tracks), remarks=tuple(read.repairs))
    voices, remarks = four_voices(read.score, [tracks[index] for index in chosen])
    return Reading(voices, len(tracks), remarks=(*read.repairs, *remarks, *_left_out(read.score, chosen)))


@dataclass(frozen=True)
class FolderCorpus:
    """A folder of score files, a `descant_tokenizers.corpora.rows.Corpus`.

    Attributes:
        root: The folder.
        paths: The files under it, each once.
        licence: What the user says about the files' licence.
        parts: Whether to look for four voices; see `read_file`.
    """

    root: Path
    paths: tuple[Path, ...]
    licence: str = UNKNOWN_LICENCE
    parts: Parts = "auto"
    composer: str = "unknown"
    splits: tuple[str, ...] = FOLDER_SPLITS

    @classmethod
    def of(cls, root: Path, licence: str | None = None, parts: Parts = "auto") -> FolderCorpus:
        """Find the files of a folder; see `score_files`."""
        return cls(root, tuple(score_files(root)), licence or UNKNOWN_LICENCE, parts)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.root.resolve().name

    @property
    def reader(self) -> str:
        """Name of the way in which files are read."""
        return f"Folder-{self.parts}"

    def read(self, path: Path) -> Reading:
        """Read one file; see `read_file`."""
        return read_file(path, self.parts)

    def id_of(self, path: Path) -> str:
        """Return the path inside the folder, without its suffix unless another file differs in nothing else."""
        inside = path.relative_to(self.root)
        stem = inside.with_suffix("").as_posix()
        return inside.as_posix() if stem in self._shared_stems else stem

    def source_of(self, path: Path) -> str:
        """Return the path inside the folder."""
        return path.relative_to(self.root).as_posix()

    def title_of(self, path: Path) -> str:
        """Return the file's stem."""
        return path.stem

    def split_of(self, path: Path, tune_digest: str) -> str:
        """Choose by content alone; transpositions of a piece share its split."""
        return split_of_digest(tune_digest)

    @cached_property
    def _shared_stems(self) -> frozenset[str]:
        stems = Counter(path.relative_to(self.root).with_suffix("").as_posix() for path in self.paths)
        return frozenset(stem for stem, count in stems.items() if count > 1)


def _named_tracks(tracks: list[TrackTick]) -> list[int]:
    """Indices of the four named voices in order, none if they are not all there exactly once."""
    pitched = [index for index, track in enumerate(tracks) if not track.is_drum]
    found = tracks_by_name([tracks[index] for index in pitched])
    return [pitched[place] for place in found.values()] if len(found) == len(VOICES) else []


def _single_lines(tracks: list[TrackTick]) -> list[int]:
    """Indices from high to low if there are just four tracks, all of them pitched and one note at a time."""
    if len(tracks) != len(VOICES) or any(track.is_drum for track in tracks):
        return []
    has_chords = any(len({note.time for note in track.notes}) < len(track.notes) for track in tracks)
    return [] if has_chords else tracks_by_pitch(tracks)


def _left_out(score: ScoreTick, chosen: list[int]) -> list[str]:
    """Say which tracks are no voice."""
    return [
        f"track {index + 1} '{printable(track.name, 40)}' left out beside the four voices"
        for index, track in enumerate(score.tracks)
        if index not in chosen
    ]
