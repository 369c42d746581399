"""Named tokenizer presets: building them, loading trained ones, and pushing a tokenizer to the Hub.

`satb` is REMI (Huang & Yang 2020, "Pop Music Transformer") through miditok for music in four named voices. A voice
is a MIDI program inside the tokens (`VOICE_PROGRAMS`), because a one-stream miditok tokenizer merges tracks of
the same program. The programs are strings, so that a stream decoded by miditok alone already sounds like four
instruments.

`sbat` is `satb` with the voices of an onset in another order: soprano, bass, alto, tenor. Voices are ordered by
program, so its programs differ.

`satb-style` and `sbat-style` add a special token for each of `STYLES`, which may follow the task.

`gm` is REMI+ (von Rütte et al. 2023, "FIGARO"; REMI with programs and time signatures) for any MIDI file: the 128
programs of General MIDI and drums, velocities and tempos. A voice is a program, with any number of notes at once.

`song` (voice and piano) and `quartet` (two violins, viola and cello) are `gm` for the parts of an ensemble, without
velocities and tempos. A part is a program in tokens, of `scores.ensembles`, with any number of notes at once; `quartet`
also has the special tokens of `STYLES`.

The grid has 24 onsets to a beat (the note value of the time signature's denominator), which holds 16ths, triplets and
32nds in x/4 and 16ths and triplets in x/2; docs/tokenizers.md gives the measured round-trip loss.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.common.files import TOKENIZER_FILE, read_json
from descant_tokenizers.common.hub import Pushed, is_repo_id, pull_folder, push_files
from descant_tokenizers.scores import VOICES
from descant_tokenizers.scores.ensembles import QUARTET, SONG, Ensemble
from descant_tokenizers.tokens.bpe import SubwordMerges
from descant_tokenizers.tokens.hint_tokens import HINT_TOKENS

if TYPE_CHECKING:  # miditok takes longer to import than everything else, and not every caller needs it
    from miditok import REMI, TokenizerConfig

VOICE_PROGRAMS = {"Soprano": 40, "Alto": 41, "Tenor": 42, "Bass": 43}
assert tuple(VOICE_PROGRAMS) == VOICES

#: Programs of `sbat`, in the order of the stream. They are brass because miditok keeps programs in a set, and small
#: integers in a set are in ascending order only within a block of eight.
SBAT_PROGRAMS = {"Soprano": 56, "Bass": 58, "Alto": 60, "Tenor": 61}

_MAX_SPECIAL_TOKENS = 1_000
_ADDITIONAL = {"max_bar_embedding": None, "use_bar_end_tokens": False, "add_trailing_bars": False}  # what REMI adds

#: Task and separator tokens are miditok special tokens, so that `config.vocab_size == len(tokenizer)`.
SPECIAL_TOKENS = ("PAD", "BOS", "EOS", "MASK", "SEP", "CONTINUE", "HARMONIZE", "INFILL")

#: Styles that a stream of a style preset can request, and the special token of each.
STYLES = {name: f"Style_{name}" for name in ("bach", "palestrina", "mozart", "haydn", "beethoven", "folk", "hymn")}

#: Inclusive MIDI pitch range of the vocabulary: every voice of the chorales, transposed by up to half an octave.
PITCH_RANGE = (30, 90)

#: Inclusive MIDI pitch range of the ensembles: the keys of a piano.
ENSEMBLE_PITCHES = (21, 108)

#: Positions per beat by note length in beats, {(from, to): positions}. Onsets use the finest.
BEAT_RESOLUTION = {(0, 2): 24, (2, 4): 12, (4, 16): 4}

#: {denominator: numerators}. Odd numerators of 8 and 16 are mostly the lengths of pickups.
TIME_SIGNATURES = {2: list(range(1, 7)), **{denominator: list(range(1, 13)) for denominator in (4, 8, 16)}}

NUM_VELOCITIES = 32  # of `gm`: 3, 7, ..., 127
#: Tempos of `gm` in quarters per minute: 16 to the octave, each 4.4 % above the last; 30, 60, 120 and 240 are exact.
TEMPO_RANGE, NUM_TEMPOS = (15, 480), 81


def import_miditok() -> ModuleType:
    """Import miditok without its data loaders for torch, which take a second to import; they can be imported later."""
    if "miditok" in sys.modules:
        return sys.modules["miditok"]
    loaders = "miditok.pytorch_data"
    sys.modules[loaders] = None  # type: ignore[assignment]  # its import fails, as where there is no torch
    try:
        return importlib.import_module("miditok")
    finally:
        del sys.modules[loaders]


def grid_config(**options: Any) -> TokenizerConfig:
    """Return a miditok configuration on the grid of the presets, with further options; default: notes only."""
    TokenizerConfig = import_miditok().TokenizerConfig
    shared = {
        "beat_res": BEAT_RESOLUTION,
        "use_velocities": False,
        "use_pitchdrum_tokens": False,
        "use_programs": True,
        "one_token_stream_for_programs": True,
        "use_time_signatures": True,
        "time_signature_range": TIME_SIGNATURES,
    }
    return TokenizerConfig(**shared | options)


def satb_config(
    special_tokens: Sequence[str] = SPECIAL_TOKENS, programs: Iterable[int] = VOICE_PROGRAMS.values()
) -> TokenizerConfig:
    """Return the miditok configuration of `satb`, or of another four-part preset."""
    return grid_config(pitch_range=PITCH_RANGE, special_tokens=list(special_tokens), programs=list(programs))


def gm_config() -> TokenizerConfig:
    """Return the miditok configuration of the `gm` preset."""
    return grid_config(
        pitch_range=(0, 127),
        drums_pitch_range=(0, 127),
        special_tokens=list(SPECIAL_TOKENS),
        use_velocities=True,
        num_velocities=NUM_VELOCITIES,
        use_tempos=True,
        tempo_range=TEMPO_RANGE,
        num_tempos=NUM_TEMPOS,
        log_tempos=True,
        delete_equal_successive_tempo_changes=True,
        use_pitchdrum_tokens=True,
    )


def ensemble_config(ensemble: Ensemble, special_tokens: Sequence[str] = SPECIAL_TOKENS) -> TokenizerConfig:
    """Return the miditok configuration of the preset of an ensemble."""
    return grid_config(
        pitch_range=ENSEMBLE_PITCHES, special_tokens=list(special_tokens), programs=list(ensemble.labels)
    )


_WITH_STYLES = (*SPECIAL_TOKENS, *STYLES.values())
PRESETS: dict[str, Callable[[], TokenizerConfig]] = {
    "satb": satb_config,
    "satb-style": partial(satb_config, _WITH_STYLES),
    "sbat": partial(satb_config, programs=SBAT_PROGRAMS.values()),
    "sbat-style": partial(satb_config, _WITH_STYLES, SBAT_PROGRAMS.values()),
    "sbat-hints": partial(satb_config, (*_WITH_STYLES, *HINT_TOKENS), SBAT_PROGRAMS.values()),
    "gm": gm_config,
    "song": partial(ensemble_config, SONG),
    "quartet": partial(ensemble_config, QUARTET, _WITH_STYLES),
}


def build_tokenizer(preset: str = "satb") -> REMI:
    """Build an untrained tokenizer from a preset name.

    Raises:
        InputError: The preset does not exist.
    """
    REMI = import_miditok().REMI
    if preset not in PRESETS:
        raise InputError(f"{preset!r} is not a tokenizer preset. Choose one of {', '.join(PRESETS)}.")
    return REMI(PRESETS[preset]())


def open_tokenizer(name: str) -> REMI:
    """Build the tokenizer of a preset, or load one from a folder or from the Hub.

    Args:
        name: A preset, a folder (a checkpoint or the output of `descant tokenizer train`), or a Hub id: `user/name` or
            `user/name@revision`.

    Raises:
        InputError: The preset, folder or repository does not exist.
    """
    if name in PRESETS:
        return build_tokenizer(name)
    folder = tokenizer_folder(name)
    return build_tokenizer(name) if folder is None else load_tokenizer(folder)  # the former lists the presets


def tokenizer_folder(name: str) -> Path | None:
    """Return a folder, or the local copy of a Hub id; None if the name cannot be either. Raises `InputError`."""
    folder = Path(name)
    if folder.is_dir():
        return folder
    if not is_repo_id(name):
        return folder if folder.name != name else None
    try:
        return pull_folder(name)
    except InputError as error:
        choices = ", ".join(PRESETS)
        raise InputError(
            f"{error.problem}. Give a preset ({choices}), a folder with a {TOKENIZER_FILE} or a Hub id user/name."
        ) from None


def load_tokenizer(folder: Path) -> REMI:
    """Load the tokenizer of a folder: that of a checkpoint, or one of `descant tokenizer train`.

    Raises:
        InputError: The folder holds no readable `tokenizer.json` of miditok, one without the task tokens, or one whose
            merges were not trained by Descant.
    """
    REMI = import_miditok().REMI
    path = folder / TOKENIZER_FILE
    if not path.is_file():
        raise InputError(f"{folder} has no {TOKENIZER_FILE}. Give a folder of `tokenizer train` or a checkpoint.")
    try:
        _check_params(read_json(path))
        try:
            tokenizer = REMI(params=path)
        except Exception as error:  # the libraries raise anything
            raise ValueError(printable(str(error), 100)) from None
        SubwordMerges(tokenizer)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise InputError(
            f"{path} is not a REMI tokenizer of Descant ({error}). Use one saved with a model or made by "
            "`tokenizer train`."
        ) from None
    return tokenizer


def _check_params(values: Any) -> None:
    """Raise a `ValueError` unless a `tokenizer.json` is a preset, perhaps with other special tokens, or trained on one.

    miditok takes any mapping for a tokenizer, fills in defaults, and builds vocabularies of any size.
    """
    if not isinstance(values, dict) or values.get("tokenization") != "REMI":
        raise ValueError("its 'tokenization' is not REMI")
    config = values.get("config")
    if not isinstance(config, dict):
        raise ValueError("it has no 'config'")
    special = config.get("special_tokens")
    if (
        not isinstance(special, list)
        or len(special) > _MAX_SPECIAL_TOKENS
        or not all(isinstance(t, str) for t in special)
    ):
        raise ValueError(f"its 'special_tokens' are not a list of at most {_MAX_SPECIAL_TOKENS} texts")
    missing = [name for name in SPECIAL_TOKENS if f"{name}_None" not in special]
    if missing:
        raise ValueError(f"it has no token {missing[0]}")
    others = []
    for preset in PRESETS.values():
        own = {**json.loads(json.dumps(preset().to_dict(serialize=True))), "additional_params": _ADDITIONAL}
        given = {**config, "special_tokens": own["special_tokens"]}
        others.append([key for key, value in given.items() if key not in own or repr(value) != repr(own[key])])
    if all(others):
        raise ValueError(f"its '{printable(min(others, key=len)[0], 60)}' is that of no preset")


_TOKENIZER_CARD = """---
tags: [music, symbolic-music, midi, miditok]
---

# {repo_id}

A {kind} tokenizer of miditok with {size} tokens, made with Descant.

```python
import miditok
tokenizer = miditok.REMI.from_pretrained("{repo_id}")
```
"""


def push_tokenizer(folder: Path, repo_id: str, *, private: bool = False, update: bool = False) -> Pushed:
    """Push the tokenizer of a folder, and nothing else in it.

    Args:
        folder: A folder with miditok's `tokenizer.json`: a tokenizer, a tokenized dataset or a checkpoint.
        repo_id: `user/name`.
        private: Make a new repository private.
        update: Add a new version to a repository that exists.

    Raises:
        InputError: The folder holds no such tokenizer, or the push fails (see `hub.push_folder`).
    """
    tokenizer = load_tokenizer(folder)
    card = _TOKENIZER_CARD.format(repo_id=repo_id, kind=type(tokenizer).__name__, size=len(tokenizer))
    return push_files([folder / TOKENIZER_FILE], card, repo_id, private=private, update=update)
