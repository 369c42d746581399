"""What every test may ask for, and what none may do: reach the network or open a window."""

from __future__ import annotations

import copy
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

# Libraries read these when they are imported, hence before anything else. Commands started by tests inherit them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["OMP_WAIT_POLICY"] = "passive"  # torch's threads sleep while they wait, and leave the cores to others

import numpy as np
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from descant_modeling.training.trainer import Trainer
    from descant_tokenizers.tokens.hints import Annotations
    from descant_tokenizers.tokens.piece import Piece
    from descant_tokenizers.tokens.vocabulary import Vocabulary

# A busy machine is no failure (no deadline), and a failure happens again (derandomized where nobody watches).
settings.register_profile("descant", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("descant")


class Outcome(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


TINY_RUN = {
    "max_steps": 10,
    "eval_every": 5,
    "save_every": 5,
    "log_every": 1,
    "precision": "fp32",
    "model__width": 32,
    "model__num_layers": 2,
    "model__num_heads": 2,
    "data__batch_tokens": 700,
    "optimizer__name": "muon",
    "optimizer__learning_rate": 0.01,
    "optimizer__warmup_steps": 3,
}

#: Where an untrained model has heard the four voices sing.
RANGES = ((60, 81), (52, 74), (46, 69), (36, 66))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files with many slow tests first, so that no process is left with one of them at the end."""
    num_slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -num_slow[item.path])


@pytest.fixture(autouse=True)
def _own_accelerator() -> Iterator[None]:
    """Forget the precision that a test chose: Accelerate keeps one for the whole process."""
    yield
    if (state := sys.modules.get("accelerate.state")) is not None:
        state.AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """The vocabulary of the `satb` preset."""
    from descant_tokenizers.tokens.presets import build_tokenizer
    from descant_tokenizers.tokens.vocabulary import Vocabulary

    return Vocabulary(build_tokenizer())


@pytest.fixture(scope="session")
def outer_first(vocabulary: Vocabulary) -> Vocabulary:
    """The vocabulary of the `sbat` preset: the same music, the bass behind the soprano."""
    from descant_tokenizers.tokens.presets import build_tokenizer

    return type(vocabulary)(build_tokenizer("sbat"))


@pytest.fixture(scope="session")
def hint_vocabulary(vocabulary: Vocabulary) -> Vocabulary:
    """The vocabulary of the `sbat-hints` preset."""
    from descant_tokenizers.tokens.presets import build_tokenizer

    return type(vocabulary)(build_tokenizer("sbat-hints"))


@pytest.fixture(scope="session")
def hinted_chorales(hint_vocabulary: Vocabulary) -> dict[str, tuple[Piece, Annotations]]:
    """Six chorales by Bach, with pickups and in 4/4, 3/4 and 3/2, and what is known of them but for their chords."""
    from descant_tokenizers.corpora.chorales import chorale_files, read_chorale
    from descant_tokenizers.tokens.encode import encode_score
    from descant_tokenizers.tokens.harmony import closing_key, sounding_notes
    from descant_tokenizers.tokens.hints import Annotations

    found = {}
    for path in chorale_files():
        if path.stem in ("bwv36.8-2", "bwv43.11", "bwv66.6", "bwv119.9", "bwv123.6", "bwv269"):
            reading = read_chorale(path)
            piece = encode_score(hint_vocabulary, reading.score).piece
            scale = hint_vocabulary.ticks_per_quarter / reading.score.ticks_per_quarter
            ends = tuple(round(tick * scale) for tick in reading.fermatas_ticks)
            found[path.stem] = piece, Annotations(ends, closing_key(sounding_notes(piece)), harmonic_rhythm="beat")
    assert len(found) == 6
    return found


@pytest.fixture(scope="session")
def random_piece(vocabulary: Vocabulary) -> Callable[..., Piece]:
    """A function that makes pieces: monophonic voices on the grid, notes held over bar lines, changing meters."""
    from descant_tokenizers.tokens.piece import GridBar, GridNote, Piece

    def make(
        rng: np.random.Generator, num_bars: int = 8, voices: Sequence[int] = (0, 1, 2, 3), meters=((4, 4),)
    ) -> Piece:
        choices = [vocabulary.meter_of[vocabulary.meter_id[meter]] for meter in meters]
        busy = dict.fromkeys(voices, 0)
        bars = []
        for _ in range(num_bars):
            meter = choices[rng.integers(len(choices))]
            notes = []
            for voice in voices:
                while busy[voice] < meter.bar_ticks:
                    step = meter.beat_ticks // (1, 1, 1, 2, 3, 4)[rng.integers(6)]
                    onset = -(-busy[voice] // meter.position_ticks) * meter.position_ticks
                    if onset < meter.bar_ticks and rng.random() < 0.9:
                        lengths = vocabulary.duration_id[meter.denominator]
                        pitch = int(np.clip(74 - 8 * voice + rng.integers(-5, 6), 30, 90))
                        length = step * (1, 1, 1, 2)[rng.integers(4)]
                        notes.append(GridNote(onset, voice, pitch, length if length in lengths else meter.beat_ticks))
                        busy[voice] = onset + notes[-1].duration_ticks
                    else:
                        busy[voice] = onset + step
                busy[voice] -= meter.bar_ticks
            bars.append(GridBar(meter, tuple(sorted(notes))))
        return Piece(tuple(bars))

    return make


@pytest.fixture(scope="session")
def gm_vocabulary() -> Vocabulary:
    """The vocabulary of the `gm` preset."""
    from descant_tokenizers.tokens.presets import build_tokenizer
    from descant_tokenizers.tokens.vocabulary import Vocabulary

    return Vocabulary(build_tokenizer("gm"))


@pytest.fixture(scope="session")
def random_band(gm_vocabulary: Vocabulary) -> Callable[..., Piece]:
    """A function that makes pieces for instruments: chords, drums, velocities, tempos, notes held over bar lines."""
    from descant_tokenizers.tokens.piece import GridBar, GridNote, GridTempo, Piece

    vocabulary = gm_vocabulary
    lengths = [vocabulary.ticks_per_quarter // part for part in (1, 1, 2, 3, 4)]

    def make(
        rng: np.random.Generator, num_bars: int = 6, programs: Sequence[int] = (0, 33, -1), meters=((4, 4),)
    ) -> Piece:
        meter_ids = [vocabulary.meter_id[meter] for meter in meters]
        voices = [vocabulary.programs.index(program) for program in programs]
        busy: dict[tuple[int, int], int] = {}
        start, bars, tempo = 0, [], 120.0
        for index in range(num_bars):
            meter = vocabulary.meter_of[meter_ids[rng.integers(len(meter_ids))]]
            tempos = [GridTempo(0, tempo)] if index == 0 else []
            if rng.random() < 0.3:
                place = int(rng.integers(meter.numerator)) * meter.beat_ticks
                found = float(rng.choice([t for t in vocabulary.tempo_id if t != tempo]))
                if place or index:
                    tempo = found
                    tempos.append(GridTempo(place, tempo))
            notes = []
            for place in range(0, meter.bar_ticks, meter.beat_ticks // 2):
                for voice in voices:
                    for pitch in rng.choice(range(36, 84), rng.integers(0, 4), replace=False):
                        pitch = int(pitch)
                        if busy.get((voice, pitch), 0) <= start + place:
                            known = vocabulary.duration_id[meter.denominator]
                            length = lengths[rng.integers(len(lengths))]
                            length = length if length in known else meter.beat_ticks
                            velocity = int(rng.choice(list(vocabulary.velocity_id)))
                            notes.append(GridNote(place, voice, pitch, length, velocity))
                            busy[voice, pitch] = start + place + length
            bars.append(GridBar(meter, tuple(sorted(notes)), tuple(sorted(tempos))))
            start += meter.bar_ticks
        return Piece(tuple(bars))

    return make


@pytest.fixture(scope="session")
def tiny_pieces(random_piece: Callable[..., Piece]) -> list[Piece]:
    """Twelve four-part pieces of 4 to 9 bars."""
    rng = np.random.default_rng(7)
    return [random_piece(rng, num_bars=int(rng.integers(4, 10))) for _ in range(12)]


@pytest.fixture(scope="session", params=["BPE", "Unigram"])
def merged_vocabulary(request: pytest.FixtureRequest, vocabulary: Vocabulary, tiny_pieces: list[Piece]) -> Vocabulary:
    """The vocabulary of the `satb` preset with 200 tokens learned from the tiny pieces, of either kind."""
    from descant_tokenizers.tokens.train_bpe import train_tokenizer
    from descant_tokenizers.tokens.vocabulary import Vocabulary

    return Vocabulary(train_tokenizer(vocabulary.tokenizer, tiny_pieces, vocabulary.size + 200, request.param))


@pytest.fixture
def make_trainer(vocabulary: Vocabulary, tiny_pieces: list[Piece], tmp_path: Path) -> Callable[..., Trainer]:
    """A function that makes a trainer of a tiny model over the tiny pieces, in a folder of `tmp_path`.

    It takes `max_steps` and other values of a run configuration with dots as two underscores: `data__micro_batches=2`.
    """
    import torch

    from descant_modeling.common.config import build_config
    from descant_modeling.models.checkpoints import CheckpointMeta
    from descant_modeling.models.transformer import build_model
    from descant_modeling.training.causal import CausalTask
    from descant_modeling.training.config import RunConfig
    from descant_modeling.training.examples import ExampleSource
    from descant_modeling.training.log import RunLog
    from descant_modeling.training.run import make_accelerator
    from descant_modeling.training.scores import ScoreRepresentation
    from descant_modeling.training.trainer import Trainer
    from descant_tokenizers.tokens.tasks import TaskLayout

    def make(folder: str = "run", **values: object) -> Trainer:
        overrides = [f"{key.replace('__', '.')}={value}" for key, value in {**TINY_RUN, **values}.items()]
        config = build_config(RunConfig, {}, "test", overrides)
        accelerator = make_accelerator(config.precision, "cpu")
        layout = TaskLayout(vocabulary, config.layout)
        torch.manual_seed(config.seed)
        model = build_model(
            config.model, vocabulary.size, bos=layout.bos, eos=layout.eos, pad=vocabulary.special("PAD")
        )
        source = ExampleSource(
            tiny_pieces[:9], layout, config.tasks, seed=config.seed, transpose=True, max_tokens=config.model.max_tokens
        )
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        log = RunLog(path, config.max_steps, active=True, quiet=True)
        ranges = tuple(source.voice_ranges)
        meta = CheckpointMeta(config.layout, "", voice_ranges=ranges, training={"seed": config.seed})
        representation = ScoreRepresentation(layout, tiny_pieces[9:], meta)
        task = CausalTask(config, accelerator, model, source, representation)
        return Trainer(config, accelerator, task, path, log)

    return make


@pytest.fixture(scope="session")
def gan_datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By objective, a dataset of random samples on disk: rolls (5 of train, 2 of valid), or bars (40 of both)."""
    from gan_data import save_gan_datasets

    return save_gan_datasets(tmp_path_factory.mktemp("gan-data"))


@pytest.fixture
def gan_values(gan_datasets: dict[str, Path], tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """A function that returns the values of a tiny run of a GAN in `tmp_path/runs`, logging every step."""

    from gan_data import TINY_GANS

    def values(kind: str) -> dict[str, Any]:
        own = copy.deepcopy(TINY_GANS[kind])
        own["data"]["corpus"] = str(gan_datasets[kind])
        often = {"max_steps": 3, "log_every": 1, "eval_every": 2, "save_every": 9, "precision": "fp32"}
        return {"objective": kind, "name": kind, "out_dir": str(tmp_path / "runs"), **often, **own}

    return values


@pytest.fixture
def make_gan_trainer(gan_values: Callable[[str], dict[str, Any]], tmp_path: Path) -> Callable[..., Trainer]:
    """A function that makes a trainer of a tiny GAN in a folder of `tmp_path`."""
    from descant_modeling.common.config import build_config
    from descant_modeling.gan.run import open_task
    from descant_modeling.objectives import objective_of
    from descant_modeling.training.log import RunLog
    from descant_modeling.training.run import make_accelerator
    from descant_modeling.training.trainer import Trainer

    def make(kind: str, folder: str = "run", *overrides: str) -> Trainer:
        values = gan_values(kind)
        config: Any = build_config(objective_of(values, "test").config, values, "test", overrides)
        accelerator = make_accelerator(config.precision, "cpu")
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        log = RunLog(path, config.max_steps, active=True, quiet=True)
        task = open_task(config, accelerator, quiet=True)
        return Trainer(config, accelerator, task, path, log)

    return make


@pytest.fixture(scope="session")
def tiny_checkpoint(vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of an untrained model of four voices."""
    from untrained import save_untrained

    return save_untrained(vocabulary, RANGES, tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session", params=["rotary", "gpt2"])
def band_checkpoint(
    gm_vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Path:
    """A checkpoint folder of an untrained model that has heard piano, bass, violin and drums, and holds few bars."""
    from untrained import save_untrained

    heard = {0: (36, 84), 33: (28, 50), 40: (55, 90), -1: (35, 51)}
    ranges = [heard.get(program, (127, 0)) for program in gm_vocabulary.programs]
    folder = tmp_path_factory.mktemp("band")
    return save_untrained(gm_vocabulary, ranges, folder, architecture=request.param, max_tokens=640)


@pytest.fixture(scope="session")
def style_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of an untrained model of four voices that has been told of two styles."""
    from untrained import save_untrained

    from descant_tokenizers.tokens.presets import build_tokenizer
    from descant_tokenizers.tokens.tasks import LayoutConfig
    from descant_tokenizers.tokens.vocabulary import Vocabulary

    vocabulary = Vocabulary(build_tokenizer("satb-style"))
    layout = LayoutConfig(1, given_at_onsets=True, styles=("bach", "folk"))
    return save_untrained(vocabulary, RANGES, tmp_path_factory.mktemp("checkpoints") / "two-styles", layout)


@pytest.fixture(scope="session")
def hints_checkpoint(hint_vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of an untrained model of four voices with hints."""
    from untrained import save_untrained

    from descant_tokenizers.tokens.tasks import LayoutConfig

    ranges = [RANGES[rank] for rank in (0, 3, 1, 2)]  # soprano, bass, alto, tenor
    return save_untrained(hint_vocabulary, ranges, tmp_path_factory.mktemp("hints"), LayoutConfig(hints=True))


@pytest.fixture
def descant(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """A function that runs the `descant` command in this process."""
    from descant_modeling.cli.main import main

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["descant", *(str(argument) for argument in arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Outcome(int(ended.value.code or 0), *capfd.readouterr())

    return run
