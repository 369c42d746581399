"""The corpora from music21: one or two pieces of each, compared with the contents of the file."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import pytest

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora.catalogue import TABLE, Music21Corpus, madrigal_title, quartet_title
from descant_tokenizers.corpora.rows import Row, make_row, row_to_score
from descant_tokenizers.corpora.workers import ReadOutcome, read_one
from descant_tokenizers.scores import VOICES, bars_of
from descant_tokenizers.scores.validation import Metadata

NUM_PIECES = {"palestrina": 1318, "quartets": 46, "monteverdi": 48, "folk": 1059 + 1180, "essen": 8514}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _row(name: str, key: str) -> tuple[Row, ReadOutcome]:
    corpus = Music21Corpus(name)
    assert key in corpus.keys
    outcome = read_one(corpus.reader, key)
    assert outcome.piece is not None, outcome.reason
    return make_row(corpus, key, outcome.piece), outcome


@pytest.mark.parametrize("name", TABLE)
def test_every_corpus_is_installed_in_full(name: str) -> None:
    keys = Music21Corpus(name).keys
    assert len(keys) == len(set(keys)) == NUM_PIECES[name]


def test_a_music21_without_its_corpus_is_a_user_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("music21.common.getCorpusFilePath", lambda: str(tmp_path))
    with pytest.raises(InputError, match="lacks the files of folk"):
        _ = Music21Corpus("folk").keys


def test_a_mass_movement_of_four_parts_is_four_voices() -> None:
    row, outcome = _row("palestrina", "palestrina/Benedictus_50.krn")
    assert outcome.piece is not None
    assert outcome.piece.is_four_part
    assert row["title"] == "Missa Sanctorum meritis: Benedictus"
    assert row["composer"] == "Giovanni Pierluigi da Palestrina"
    assert row["licence"].startswith(
        "Copyright 2000, John Miller; Rights to all derivative electronic formats reserved."
    )
    assert row["source"] == "music21 corpus, palestrina/Benedictus_50.krn"
    assert [track.name for track in row_to_score(row).tracks] == list(VOICES)
    assert row["time_signature"] == "4/2"


def test_a_mass_movement_of_five_parts_keeps_all_of_them() -> None:
    row, outcome = _row("palestrina", "palestrina/Agnus.krn")
    assert outcome.piece is not None
    assert not outcome.piece.is_four_part
    assert row["num_parts"] == 5
    assert Counter(track.name for track in row_to_score(row).tracks)["Tenor"] == 2


def test_movements_of_a_mass_share_a_split() -> None:
    corpus = Music21Corpus("palestrina")
    piece = read_one(corpus.reader, "palestrina/Agnus.krn").piece
    assert piece is not None
    splits = set()
    for number in range(40):
        version = dataclasses.replace(
            piece, metadata=Metadata(f"Missa brevis: Part {number}"), incipit_digest=f"{number:064x}"
        )
        splits.add(corpus.facts_of("palestrina/Agnus.krn", version).split)
    assert len(splits) == 1


def test_a_tune_of_a_book_has_its_pickup_title_and_transcriber() -> None:
    row, _ = _row("folk", "airdsAirs/book1.abc#1")
    assert row["title"] == "The Ranting Highlandman."
    assert row["licence"] == (
        "freely contributed to the music21 corpus; encoded by: Jack Campin * www.campin.me.uk * 2009"
    )
    first, second = bars_of(row_to_score(row))[:2]
    assert (first.number, first.length_ticks) == (0, 480)
    assert (second.numerator, second.denominator) == (2, 2)


def test_a_collection_that_is_not_free_says_so_in_every_row() -> None:
    row, _ = _row("essen", "essenFolksong/altdeu10.abc#1")
    assert "non-commercial" in row["licence"]
    assert row["title"] == "Das Hildebrandslied"


def test_quartets_and_madrigals_are_named_after_their_files() -> None:
    assert quartet_title("haydn/opus74no1/movement2.mxl") == "String quartet opus 74 no. 1, movement 2"
    assert quartet_title("mozart/k80/movement4.mxl") == "String quartet K. 80, movement 4"
    assert quartet_title("beethoven/opus133.mxl") == "String quartet opus 133"
    assert madrigal_title("monteverdi/madrigal.3.10.mxl") == "Madrigals, book 3, no. 10"


def test_a_quartet_keeps_its_instruments() -> None:
    row, outcome = _row("quartets", "haydn/opus1no1/movement4.mxl")
    assert outcome.piece is not None
    assert not outcome.piece.is_four_part
    assert [track.name for track in row_to_score(row).tracks] == ["Violin I", "Violin II", "Viola", "Cello"]
