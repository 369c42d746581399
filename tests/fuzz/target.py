"""Target of a fuzz campaign: everything between the bytes of a file and tokens, and back to a file."""

from __future__ import annotations

import os
import re
import resource
import sys
import tempfile
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import mutations
from symusic.core import ScoreTick, TrackTickList

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import read_score_report, write_midi
from descant_tokenizers.scores.voices import pick_voices
from descant_tokenizers.tokens.encode import decode_piece, encode_score
from descant_tokenizers.tokens.kinds import make_grammar
from descant_tokenizers.tokens.piece import piece_ids
from descant_tokenizers.tokens.presets import build_tokenizer
from descant_tokenizers.tokens.vocabulary import Vocabulary

MAX_EXTRA_BYTES = 500 * 2**20
"""Memory that an input may need beyond the imports."""


class Result(NamedTuple):
    """Outcome of one input.

    Attributes:
        index: Its number.
        outcome: `accepted`, `accepted as a score` (not as tokens), `refused` or `defect`.
        why: For the two in the middle the sentence without its values; for `defect` the traceback.
        seconds: CPU time that it took.
        peak_bytes: Largest resident memory of the process so far.
    """

    index: int
    outcome: str
    why: str
    seconds: float
    peak_bytes: int


class AnyTarget(Protocol):
    """What inputs are fed to; `names_file` is True if it refuses with the name of the file or folder."""

    names_file: bool

    def feed(self, path: Path) -> str:
        """Use a file; return why less than all of it is accepted, or raise an `InputError`."""


class Reader:
    """The readers alone: what comes after them has limits of its own."""

    names_file = True

    def feed(self, path: Path) -> str:
        """Read a file with its marks."""
        read_score_report(path, marks=True)
        return ""


class Target:
    """The front half, ready to be fed."""

    names_file = True

    def __init__(self) -> None:
        self.satb, self.gm = (Vocabulary(build_tokenizer(preset)) for preset in ("satb", "gm"))
        self.grammars = {id(vocabulary): make_grammar(vocabulary) for vocabulary in (self.satb, self.gm)}

    def feed(self, path: Path) -> str:
        """Read, write back and read again, tokenize, decode and write.

        Returns:
            Nothing, or why the score has no tokens of one of the presets.

        Raises:
            InputError: The file is refused.
            AssertionError: What was written is not what was read, or the tokens break the grammar.
        """
        score = read_score_report(path).score
        copy = path.with_name("copy.mid")
        write_midi(score, copy, force=True)
        try:
            again = read_score_report(copy)
        except InputError as error:  # a few long measures may be thousands of bars in MIDI
            raise InputError(str(error).replace(str(copy), str(path))) from error
        if not any(repair.startswith("two voices in each of the tracks") for repair in again.repairs):
            same = _contents(again.score)[2 * bool(again.repairs) :]  # a meter beside the bar line is moved: it is said
            assert same == _contents(score)[-len(same) :], "a score changes when it is written and read again"
        said = self._tokenize(self.gm, score, copy)
        try:
            choice = pick_voices(score)
        except InputError as error:
            return said or f"as voices: {error}"
        sung = score.copy()
        sung.tracks = TrackTickList(choice.tracks.values())
        for voice, line in zip(choice.tracks, sung.tracks, strict=True):
            line.name = voice
        return said or self._tokenize(self.satb, sung, copy)

    def _tokenize(self, vocabulary: Vocabulary, score: ScoreTick, copy: Path) -> str:
        """Tokenize, decode and write; return why that fails, or an empty string."""
        try:
            piece = encode_score(vocabulary, score).piece
        except InputError as error:
            return f"as tokens: {error}"
        grammar = self.grammars[id(vocabulary)]
        assert grammar.accepts([*piece_ids(vocabulary, piece), grammar.eos]), "the tokens of a score break the grammar"
        write_midi(decode_piece(vocabulary, piece), copy, force=True)
        return ""


def _contents(score: ScoreTick) -> list[Any]:
    notes = [
        sorted((note.time, note.pitch, note.duration, note.velocity) for note in track.notes) for track in score.tracks
    ]
    meters = [(event.time, event.numerator, event.denominator) for event in score.time_signatures]
    return [score.ticks_per_quarter, meters, notes]


def work(kind: str, seed: int, first: int, last: int, answers: Connection) -> None:
    """Run inputs `first` up to but not including `last`, one answer each, after one that reports the imports."""
    sys.stderr.flush()
    target, seeds = _target(kind), mutations.load_seeds(kind)
    answers.send(_memory("VmRSS"))
    if kind != "families":
        _limit_memory()
    with tempfile.TemporaryDirectory(prefix="descant-fuzz-") as folder:
        for index in range(first, last):
            path = Path(folder, f"input{mutations.suffix_of(kind, index)}")
            path.write_bytes(mutations.make(kind, seed, index, seeds))
            if kind == "families":
                _run_apart(target, path, index, answers)
            else:
                answers.send(_run(target, path, index))


def _run_apart(target: AnyTarget, path: Path, index: int, answers: Connection) -> None:
    """Run a large input in a copy of this process, which leaves no memory behind."""
    child = os.fork()
    if child == 0:
        _limit_memory()
        answers.send(_run(target, path, index))
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        os._exit(1)


def _limit_memory() -> None:
    limit = _memory("VmSize") + MAX_EXTRA_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _target(kind: str) -> AnyTarget:
    if kind == "families":
        return Reader()
    if kind == "engraving":
        from target_engraving import Engraver  # music21 takes seconds

        return Engraver()
    if kind in ("models", "configs"):
        from target_models import ConfigTarget, ModelTarget

        return ModelTarget() if kind == "models" else ConfigTarget()
    return Target()


def _run(target: AnyTarget, path: Path, index: int) -> Result:
    started = time.process_time()
    try:
        why = _reason(target.feed(path), path)
        outcome = "accepted as a score" if why else "accepted"
    except InputError as error:
        outcome, why = ("refused", _reason(str(error), path))
        if (target.names_file and str(path.with_suffix("")) not in str(error)) or "\n" in str(error):
            outcome, why = "defect", f"not one sentence with the file's name: {error}"
    except Exception:
        outcome, why = "defect", traceback.format_exc()
    return Result(index, outcome, why, time.process_time() - started, _memory("VmHWM"))


def _reason(sentence: str, path: Path) -> str:
    """An error message without its values, so that equal ones can be counted."""
    plain = re.sub(r"\(.*\)", "(...)", sentence.replace(str(path), "FILE"))
    return re.sub(r"'[^']*'|\"[^\"]*\"|-?\d[\d,./]*|<[^>]*>|\b[A-H][#-]*-?\d\b", "N", plain)[:160]


def _memory(what: str) -> int:
    """A figure of this process's memory in bytes, as Linux reports it."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{what}:"))
    return int(line.split()[1]) * 1024
