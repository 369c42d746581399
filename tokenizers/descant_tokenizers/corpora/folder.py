"""A folder of the user's own four-part MIDI files as a corpus."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from symusic.core import TrackTick

from descant_tokenizers.corpora.reading import Reading, four_voices
from descant_tokenizers.corpora.splits import FOLDER_SPLITS, split_of_digest
from descant_tokenizers.errors import InputError, printable
from descant_tokenizers.scores import VOICES, read_score_report
from descant_tokenizers.scores.voices import tracks_by_name, tracks_by_pitch

SUFFIXES = (".mid", ".midi")
UNKNOWN_LICENCE = "unknown (user files)"


def midi_files(folder: Path) -> list[Path]:
    """List the MIDI files under a folder, hidden ones left out, in the order of their relative paths.

    Args:
        folder: An existing folder; its subfolders are searched too.

    Returns:
        At least one path.

    Raises:
        InputError: There is no such folder, or no MIDI file in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give a folder of MIDI files.")
    found = [
        Path(root, name).relative_to(folder)
        for root, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(SUFFIXES) and not name.startswith(".")
    ]
    if not found:
        raise InputError(f"{folder} holds no MIDI file ({' or '.join(SUFFIXES)}); give a folder that does.")
    return [folder / path for path in sorted(found, key=Path.as_posix)]


def read_four_part_midi(path: Path) -> Reading:
    """Read four voices from a MIDI file.

    Tracks named Soprano, Alto, Tenor and Bass (or S, A, T, B; case does not count) are the voices, and what else the
    file holds is left out. Without such names the file must have exactly four tracks with notes, none of them drums
    and each one note at a time; they are taken by median pitch from high to low.

    Args:
        path: A MIDI file.

    Returns:
        The four voices.

    Raises:
        InputError: The file cannot be read or its four voices cannot be told.
    """
    read = read_score_report(path)
    sounding = [track for track in read.score.tracks if len(track.notes) and not track.is_drum]
    voices, remarks = four_voices(read.score, _named_tracks(sounding) or _tracks_by_pitch(path, sounding))
    return Reading(voices, len(sounding), remarks=(*read.repairs, *remarks))


@dataclass(frozen=True)
class FolderCorpus:
    """A folder of MIDI files, a `descant_tokenizers.corpora.rows.Corpus`.

    Attributes:
        root: The folder.
        paths: The files under it, each once.
        licence: What the user says about the files' licence.
    """

    root: Path
    paths: tuple[Path, ...]
    licence: str = UNKNOWN_LICENCE
    composer: str = "unknown"
    splits: tuple[str, ...] = FOLDER_SPLITS

    @classmethod
    def of(cls, root: Path, licence: str | None = None) -> FolderCorpus:
        """Find the files of a folder; see `midi_files`."""
        return cls(root, tuple(midi_files(root)), licence or UNKNOWN_LICENCE)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.root.resolve().name

    def read(self, path: Path) -> Reading:
        """Read one file; see `read_four_part_midi`."""
        return read_four_part_midi(path)

    def id_of(self, path: Path) -> str:
        """Return the path inside the folder, without its suffix."""
        return path.relative_to(self.root).with_suffix("").as_posix()

    def title_of(self, path: Path) -> str:
        """Return the file's stem."""
        return path.stem

    def split_of(self, path: Path, tune_digest: str) -> str:
        """Choose by content alone; transpositions of a piece share its split."""
        return split_of_digest(tune_digest)


def _named_tracks(tracks: list[TrackTick]) -> list[TrackTick]:
    """The four named voices in order, or none if they are not all there exactly once."""
    found = tracks_by_name(tracks)
    return [tracks[index] for index in found.values()] if len(found) == len(VOICES) else []


def _tracks_by_pitch(path: Path, tracks: list[TrackTick]) -> list[TrackTick]:
    if len(tracks) != len(VOICES):
        raise InputError(
            f"{path} has {len(tracks)} tracks with notes; give one with four, or four named {', '.join(VOICES)}."
        )
    for track in tracks:
        if len({note.time for note in track.notes}) < len(track.notes):
            name = printable(track.name, 40) or "without a name"
            raise InputError(f"{path} has chords in its track {name}; give one note at a time in each voice.")
    return [tracks[index] for index in tracks_by_pitch(tracks)]
