"""What the grammar of a MidiTok tokenizer allows decodes without loss, in the eyes of miditok, and nothing else.

The judges are miditok's decoder and its own count of errors (`benchmarks/grammar.py`, which samples more of the same).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

import miditok
import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from descant_modeling import GrammarLogitsProcessor
from descant_tokenizers import MidiTokGrammar
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.miditok_stream import SCHEMES, State

WRONG = ("illegal", "notes_lost", "changed_again", "not_ended")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("grammar")


@cache
def trained(scheme: str, model: str, config: str = "all options") -> miditok.MusicTokenizer:
    return importlib.import_module("grammar").build(scheme, config, model, extra_ids=150)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("config", ["README of MidiTok", "one track", "all options", "no durations"])
def test_random_streams_decode_without_loss(script: ModuleType, scheme: str, config: str) -> None:
    tokenizer = script.build(scheme, config, None)
    for ids in script.sample(tokenizer, 120, 2, torch.Generator().manual_seed(1)):
        counts = script.judge(tokenizer, ids)
        assert counts["notes"] > 0
        assert not any(counts[what] for what in WRONG), counts


@pytest.mark.parametrize(("scheme", "model"), [("REMI", "BPE"), ("MIDILike", "BPE"), ("TSD", "Unigram")])
def test_random_streams_of_trained_tokenizers_decode_without_loss(script: ModuleType, scheme: str, model: str) -> None:
    tokenizer = trained(scheme, model)
    for ids in script.sample(tokenizer, 80, 2, torch.Generator().manual_seed(2)):
        counts = script.judge(tokenizer, ids)
        assert counts["base_tokens"] > counts["tokens"]
        assert not any(counts[what] for what in WRONG), counts


@pytest.mark.parametrize(("scheme", "model"), [("REMI", "BPE"), ("MIDILike", "BPE")])
def test_a_merged_token_is_legal_exactly_if_its_base_tokens_are(script: ModuleType, scheme: str, model: str) -> None:
    grammar = MidiTokGrammar(trained(scheme, model))
    names = {i: name for name, i in grammar.stream.tokenizer.vocab.items()}
    random, state, compared = np.random.default_rng(3), grammar.start(), 0
    for _ in range(60):
        mask = grammar.mask(state)
        for token_id in random.choice(grammar.size, 40):
            run = grammar.base_ids(int(token_id))
            kinds = [names[i].split("_")[0] for i in run]
            if len(run) < 2 or "EOS" in kinds or set(kinds[:-1]) & {"Rest"} or "TimeSig" in kinds[1:]:
                continue
            assert bool(mask[token_id]) == steps_are_legal(grammar, state, run), (state, kinds)
            compared += 1
        state = grammar.follow(state, int(random.choice(np.flatnonzero(mask))))
        if grammar.is_final(state):
            state = grammar.start()
    assert compared > 250


def steps_are_legal(grammar: MidiTokGrammar, state: State, base_ids: tuple[int, ...]) -> bool:
    for base_id in base_ids:
        if not grammar.base_mask(state)[base_id]:
            return False
        state = grammar.stream.step(state, base_id)
    return True


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("model", [None, "BPE"])
def test_real_music_is_legal(script: ModuleType, scheme: str, model: str | None) -> None:
    tokenizer = trained(scheme, model) if model else script.build(scheme, "all options", None)
    grammar = MidiTokGrammar(tokenizer)
    for tune in ("ode-to-joy", "greensleeves", "old-hundredth"):
        assert grammar.accepts(tokenizer.encode(ROOT / "examples" / f"{tune}.mid").ids)


def ids_of(tokenizer: miditok.MusicTokenizer, text: str) -> list[int]:
    return [tokenizer[name] for name in text.split()]


@pytest.mark.parametrize(
    ("scheme", "legal", "illegal"),
    [
        ("REMI", "Bar_None TimeSig_3/4", "Position_23 Position_24"),
        (
            "REMI",
            "Bar_None TimeSig_4/4 Position_8 Program_0 Pitch_60 Velocity_63 Duration_1.0.8",
            "Position_8 EOS_None",
        ),
        ("TSD", "TimeShift_1.0.8 Program_0 Pitch_60 Velocity_63 Duration_1.0.8 Program_0", "Pitch_61 Pitch_60"),
        ("TSD", "TimeShift_1.0.8 Program_-1", "PitchDrum_40 Pitch_40"),
        ("MIDILike", "Program_0 NoteOn_60 Velocity_63 TimeShift_1.0.8 Program_0", "NoteOff_60 NoteOff_61"),
        ("MIDILike", "Program_0 NoteOn_60 Velocity_63", "TimeShift_1.0.8 EOS_None"),
        ("MIDILike", "Program_0 NoteOn_60 Velocity_63 Program_0", "NoteOn_61 NoteOff_60"),
        ("Structured", "TimeShift_0.0.1 Program_0", "Pitch_60 Velocity_63"),
    ],
)
def test_what_may_follow(scheme: str, legal: str, illegal: str) -> None:
    """Of the two tokens under `illegal`, the first may follow the others, or with EOS the other way round."""
    tokenizer = getattr(miditok, scheme)(miditok.TokenizerConfig(use_programs=True, num_velocities=16))
    grammar = MidiTokGrammar(tokenizer)
    ids, (yes, no) = ids_of(tokenizer, legal), ids_of(tokenizer, illegal)
    if scheme == "REMI" and "EOS" in illegal:
        yes, no = no, yes
    assert grammar.accepts([*ids, yes])
    assert not grammar.accepts([*ids, no])


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("REMI", {"use_pitch_intervals": True}, "no grammar for REMI with use_pitch_intervals"),
        ("TSD", {"use_sustain_pedals": True}, "use_sustain_pedals"),
        ("REMI", {"max_bar_embedding": 30}, "max_bar_embedding"),
        ("Octuple", {"use_programs": True}, "no grammar for Octuple. Use one of REMI, TSD"),
    ],
)
def test_other_tokenizers_are_refused(name: str, options: dict[str, object], words: str) -> None:
    tokenizer = getattr(miditok, name)(miditok.TokenizerConfig(**options))
    with pytest.raises(InputError, match=re.escape(words)):
        MidiTokGrammar(tokenizer)


@pytest.fixture
def network() -> Callable[[miditok.MusicTokenizer], GPT2LMHeadModel]:
    def build(tokenizer: miditok.MusicTokenizer) -> GPT2LMHeadModel:
        torch.manual_seed(0)
        config = GPT2Config(
            vocab_size=len(tokenizer) + 3,
            n_embd=16,
            n_layer=1,
            n_head=1,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
        return GPT2LMHeadModel(config).eval()

    return build


@pytest.mark.parametrize("settings", [{"do_sample": True}, {"num_beams": 3}])
def test_generate_of_transformers_writes_legal_streams(
    script: ModuleType, network: Callable[[miditok.MusicTokenizer], GPT2LMHeadModel], settings: dict[str, object]
) -> None:
    """Rows of different length, padded on the left, and a model with more ids than the tokenizer."""
    tokenizer = script.build("REMI", "README of MidiTok", None)
    prompts = [ids_of(tokenizer, "BOS_None"), ids_of(tokenizer, "BOS_None Bar_None TimeSig_4/4 Position_3")]
    ids = torch.tensor([[0] * (4 - len(prompt)) + prompt for prompt in prompts])
    written = network(tokenizer).generate(
        ids,
        attention_mask=(ids != 0).long(),
        max_length=60,
        logits_processor=[GrammarLogitsProcessor(tokenizer, max_length=60)],
        **settings,
    )
    for row in written.tolist():
        stream = [i for i in row if i not in (0, 1)]
        stream = stream[: stream.index(2) + 1]
        counts = script.judge(tokenizer, stream)
        assert counts["notes"] > 0
        assert not any(counts[what] for what in WRONG), counts


def test_the_example_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "grammar.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"<!--example-->\n```python\n(.*?)```", page, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(example, "docs/grammar.md", "exec"), names)
    tokenizer = names["tokenizer"]
    assert tokenizer.tokens_errors(names["free"]) > 0.5  # type: ignore[attr-defined]
    assert tokenizer.tokens_errors([i for i in names["legal"] if i > 3]) == 0  # type: ignore[attr-defined]
    assert (tmp_path / "legal.mid").stat().st_size > 50
