"""`descant tokenizer inspect`: every token of a score, bar by bar, and what the grid changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick, TrackTickList
from typer.testing import CliRunner

from descant_tokenizers.cli.main import tokenizer_app
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import TOKENIZER_FILE
from descant_tokenizers.comparison.compare import fidelity
from descant_tokenizers.comparison.sheet import FAMILIES, family_of, make_token_sheet, render_token_sheet, type_of
from descant_tokenizers.scores import VOICES, read_score, write_midi
from descant_tokenizers.tokens.encode import decode_piece, encode_score
from descant_tokenizers.tokens.piece import piece_ids
from descant_tokenizers.tokens.presets import build_tokenizer
from descant_tokenizers.tokens.train_bpe import train_tokenizer
from descant_tokenizers.tokens.vocabulary import Vocabulary

TPQ = 480
TYPES = {kind for _, kinds in FAMILIES.values() for kind in kinds.split()}


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(build_tokenizer())


def chorale(*, pickup_beats: int = 1, names: tuple[str, ...] = VOICES) -> ScoreTick:
    """Two bars of 3/4 after a pickup, one note a beat and voice, the highest voice first."""
    score = ScoreTick(TPQ)
    if pickup_beats:
        score.time_signatures.append(TimeSignatureTick(0, pickup_beats, 4))
    score.time_signatures.append(TimeSignatureTick(pickup_beats * TPQ, 3, 4))
    for rank, name in enumerate(names):
        track = TrackTick(name, 0, False)
        for beat in range(pickup_beats + 6):
            track.notes.append(NoteTick(beat * TPQ, TPQ, 72 - 7 * rank, 80))
        score.tracks.append(track)
    return score


def saved(score: ScoreTick, folder: Path) -> Path:
    path = folder / "tune.mid"
    write_midi(score, path)
    return path


def printed(*arguments: str | Path) -> str:
    result = CliRunner().invoke(tokenizer_app, ["inspect", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_every_token_is_printed_once_and_in_order(tmp_path: Path, vocabulary: Vocabulary) -> None:
    score = chorale()
    ids = piece_ids(vocabulary, encode_score(vocabulary, score).piece)
    bars = printed(saved(score, tmp_path)).split("\n\n")[1:-1]
    words = [word for word in " ".join(bars).split() if type_of(word) in TYPES]
    assert words == [vocabulary.names[i] for i in ids]


def test_bars_have_their_numbers_and_time_signatures(tmp_path: Path) -> None:
    output = printed(saved(chorale(), tmp_path))
    headings = [line.split("  ")[0] for line in output.splitlines() if line.startswith("bar ")]
    assert headings == ["bar 0, 1/4, pickup", "bar 1, 3/4", "bar 2, 3/4"]


def test_totals_count_tokens_notes_and_bars(tmp_path: Path) -> None:
    # 28 notes of 3 tokens, 7 onsets, 3 bars of 2 tokens
    assert "97 tokens, 28 notes, 3.46 tokens per note, 2 bars and a pickup" in printed(saved(chorale(), tmp_path))


def test_tokens_are_coloured_by_type(tmp_path: Path, vocabulary: Vocabulary) -> None:
    num_coloured = 0
    for line in render_token_sheet(make_token_sheet(saved(chorale(), tmp_path))):
        for span in line.spans:
            word = line.plain[span.start : span.end]
            if type_of(word) in TYPES and word in vocabulary.names:
                num_coloured += 1
                assert span.style == FAMILIES[family_of(word)][0] != ""
    assert num_coloured == 97


def test_a_pipe_gets_no_colour_and_no_broken_lines(tmp_path: Path) -> None:
    output = printed(saved(chorale(), tmp_path))
    assert "\x1b" not in output
    assert max(map(len, output.splitlines())) > 100


def test_four_unnamed_tracks_are_ordered_by_pitch(tmp_path: Path) -> None:
    score = chorale(names=("one", "two", "three", "four"))
    path = tmp_path / "reversed.mid"
    score.tracks = TrackTickList(list(score.tracks)[::-1])
    write_midi(score, path)
    sheet = make_token_sheet(path)
    assert sheet.steps == make_token_sheet(saved(chorale(), tmp_path)).steps
    assert "by pitch" in sheet.remarks[0]


def test_a_single_melody_is_the_soprano(tmp_path: Path) -> None:
    sheet = make_token_sheet(saved(chorale(names=("Flute",)), tmp_path))
    assert {name for step in sheet.steps for name in step.names if type_of(name) == "Program"} == {"Program_40"}
    assert "Flute" in sheet.remarks[0]


@pytest.mark.parametrize("names", [("Flute", "Oboe"), VOICES])
def test_one_track_can_be_chosen(tmp_path: Path, names: tuple[str, ...]) -> None:
    path = saved(chorale(names=names), tmp_path)
    assert names[1] in printed(path, "--track", names[1].lower()).splitlines()[0]
    steps = make_token_sheet(path, track="2").steps
    assert {name for step in steps for name in step.names if type_of(name) == "Pitch"} == {"Pitch_65"}


def test_what_the_grid_changes_is_counted(tmp_path: Path) -> None:
    score = chorale(pickup_beats=0, names=("Soprano",))
    score.tracks[0].notes[1].time += 7  # 1/68 of a beat
    score.tracks[0].notes[3].duration -= 50
    path = saved(score, tmp_path)
    kept = make_token_sheet(path).kept
    assert (kept.num_notes, kept.num_in_place, kept.num_exact) == (6, 5, 4)
    output = printed(path)
    assert "2 of 6 notes change: 1 in onset (or dropped), 1 in duration alone" in output
    assert "notes moved to fit the grid: 1" in output


@pytest.mark.parametrize("ticks", [TPQ // 8, TPQ // 6, TPQ // 4, TPQ // 3, TPQ // 2, 3 * TPQ // 4])
def test_32nds_triplets_and_dotted_notes_are_held_exactly(vocabulary: Vocabulary, ticks: int) -> None:
    score = ScoreTick(TPQ)
    track = TrackTick("Soprano", 40, False)
    for onset in range(0, 4 * TPQ - ticks + 1, ticks):
        track.notes.append(NoteTick(onset, ticks, 60, 80))
    score.tracks.append(track)
    assert fidelity(score, decode_piece(vocabulary, encode_score(vocabulary, score).piece)).same_notes


def test_learned_tokens_are_shown_with_what_they_stand_for(tmp_path: Path) -> None:
    path = saved(chorale(), tmp_path)
    untrained = Vocabulary(build_tokenizer())
    piece = encode_score(untrained, read_score(path)).piece
    (tmp_path / "tokenizer").mkdir()
    tokenizer = train_tokenizer(untrained.tokenizer, [piece], untrained.size + 20)
    tokenizer.save(tmp_path / "tokenizer" / TOKENIZER_FILE)
    lines = printed(path, "--tokenizer", tmp_path / "tokenizer").splitlines()
    assert lines == printed(path, "--model", tmp_path / "tokenizer").splitlines()
    base = [name for line in lines for name in line.replace("+", " ").split() if name in untrained.names]
    (totals,) = [line for line in lines if "of 97 base tokens" in line]
    shown = [word for line in lines for word in line.split() if word.split("+")[0] in untrained.names]
    # The first line with names of tokens is the key to the voices.
    assert (len(base) - 4, len(shown) - 4) == (97, int(totals.split()[0]))
    assert any("+Program_" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.mid"], "There is no file"),
        (["tune.mid", "--preset", "nope"], "'nope' is not a tokenizer preset"),
        (["tune.mid", "--model", "."], "no tokenizer.json"),
        (["tune.mid", "--track", "9"], "There is no track 9"),
        (["five.mid"], "time signature 5/1"),
        (["piano.mid"], r"on a track of its own, or use every track with --preset gm\.$"),
        (["piano.mid", "--scheme", "satb"], r"or use every track with --preset gm\.$"),
    ],
)
def test_bad_input_is_one_sentence_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(chorale(), tmp_path)
    odd = chorale(pickup_beats=0)
    odd.time_signatures[0].numerator, odd.time_signatures[0].denominator = 5, 1
    write_midi(odd, "five.mid")
    piano = chorale()
    for track in piano.tracks[1:]:
        piano.tracks[0].notes.extend(track.notes)
    piano.tracks = piano.tracks[:1]
    piano.tracks[0].name = "Piano"
    write_midi(piano, "piano.mid")
    with pytest.raises(InputError, match=message) as caught:
        CliRunner().invoke(tokenizer_app, ["inspect", *arguments], catch_exceptions=False)
    assert "\n" not in str(caught.value)


def test_the_documentation_shows_what_is_printed(
    repo_root: Path, vocabulary: Vocabulary, gm_vocabulary: Vocabulary
) -> None:
    text = (repo_root / "docs" / "tokenizers.md").read_text(encoding="utf-8")
    command, *shown = text.split("```console\n")[1].split("\n```")[0].splitlines()
    *arguments, file = command.removeprefix("$ descant tokenizer inspect").split()
    lines = printed(*arguments, repo_root / file).splitlines()
    assert [line for line in shown if line != "..." and line not in lines] == []
    satb, gm = text.split("## The preset `gm`")
    for known, section in ((vocabulary, satb), (gm_vocabulary, gm)):
        assert f"That is {known.size} ids." in section
        for kind in filter(known.ids, TYPES):
            assert f"| `{kind}` | {len(known.ids(kind))} |" in section


def test_repeats_are_written_out_unless_asked_otherwise(tmp_path: Path) -> None:
    tune = tmp_path / "tune.abc"
    tune.write_text("X:1\nM:4/4\nL:1/4\nK:C\n|:CDEF:|GABc|]\n", encoding="utf-8")
    sheets = [make_token_sheet(tune, "satb", unfold=unfold) for unfold in (True, False)]
    assert [len(sheet.bars) for sheet in sheets] == [3, 2]
    assert "8 notes" in printed(tune, "--no-repeats")
