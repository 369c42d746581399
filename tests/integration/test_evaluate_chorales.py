"""`descant evaluate`, and the rates of the rules in Bach's own chorales."""

from __future__ import annotations

import base64
import json
import pickle
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from descant_modeling.cli.evaluate.common import Output
from descant_modeling.evaluation.cadences import KINDS, cadence_figures
from descant_modeling.evaluation.corpus_stats import MeasuredCorpus, ReferenceCorpus, read_chorales, split_chorales
from descant_modeling.evaluation.rules import REFERENCE_FILE, REFERENCE_SPLIT, count_reference
from descant_tokenizers.corpora import row_to_score
from descant_tokenizers.corpora.build import split_rows
from descant_tokenizers.pianoroll.frames import Chorale, chorale_of_row
from descant_tokenizers.scores import write_midi


@pytest.fixture(scope="module", autouse=True)
def _read_once() -> Iterator[None]:
    """Keep chorales between commands, each of which reads the 201 of its reference, and some of them twice."""
    known: dict[bytes, Chorale] = {}

    def chorale_of(row: dict[str, Any]) -> Chorale:
        key = pickle.dumps(row)
        if key not in known:
            known[key] = chorale_of_row(row)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("descant_modeling.evaluation.corpus_stats.chorale_of_row", chorale_of)
        yield


@pytest.fixture(scope="module")
def train() -> MeasuredCorpus:
    """Measure the training chorales by themselves, without fermatas."""
    chorales = split_chorales("chorales:train")
    started = time.monotonic()
    measured = ReferenceCorpus(chorales, fermatas=False).measure()
    assert time.monotonic() - started < 30  # two seconds on a quiet machine
    return measured


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "published", "tolerance"),
    [
        # Published for 229 texts with repeats written out and without fermatas, counting a fourth between crossed
        # voices as a fifth; ours are the 201 files of the same split that have exactly four parts.
        ("parallel_fifths", 0.77, 0.25),
        ("parallel_octaves", 0.59, 0.35),
        ("crossing", 2.37, 0.4),
        ("spacing", 1.32, 0.3),
        ("range", 0.0, 0.0),
    ],
)
def test_rates_of_bach_are_near_the_published_ones(
    train: MeasuredCorpus, rule: str, published: float, tolerance: float
) -> None:
    assert train.rules[rule].value == pytest.approx(published, abs=tolerance)


@pytest.mark.slow
def test_the_rates_in_the_package_are_those_of_the_corpus() -> None:
    """`python records/reference_rates.py` writes them."""
    counted = count_reference(split_chorales(REFERENCE_SPLIT))
    assert json.loads(REFERENCE_FILE.read_text(encoding="utf-8")) == counted


@pytest.mark.slow
def test_note_lengths_are_near_the_published_ones(train: MeasuredCorpus) -> None:
    published = {"quarter": 52.8, "eighth": 34.3, "half": 6.4, "16th": 2.6, "dotted quarter": 1.9}
    assert {name: train.statistics.note_lengths[name] for name in published} == pytest.approx(published, abs=1)


@pytest.mark.slow
def test_bach_closes_his_phrases() -> None:
    """His figures on valid; an independent count of the same pieces has 100, 83, 85, 99, 58, 87, 2.4, 27, 3.9, 1.1."""
    expected = {
        "last_triad": (100, 0),
        "last_tonic": (83, 1),
        "last_authentic": (85, 1),
        "phrase_triad": (99, 1),
        "phrase_authentic": (58, 2),
        "sevenths_resolved": (87, 1),
        "leading_doubled": (2.4, 0.2),
        "strong_dissonance": (27, 4),
        "foreign_windows": (3.9, 1.2),
        "lower_onsets": (1.1, 0.05),
    }
    found = cadence_figures(split_chorales("chorales:valid"))
    for figure, (value, tolerance) in expected.items():
        assert found[figure] == pytest.approx(value, abs=tolerance), figure
    assert sum(found[kind] for kind in KINDS) == pytest.approx(100)


@pytest.mark.slow
def test_the_command_reads_a_folder_and_names_skipped_files(descant, tmp_path) -> None:
    for row in split_rows("chorales:valid")[:3]:
        write_midi(row_to_score(row), tmp_path / f"{row['id']}.mid")
    twin = tmp_path / f"{row['id']}.musicxml"
    twin.write_text("the same in another format")
    (tmp_path / "broken.mid").write_bytes(b"MThd")
    done = descant("evaluate", "chorales", tmp_path, "--json")
    assert done.status == 0, done.err
    facts = json.loads(done.out)
    assert facts["num_pieces"] == 3
    assert list(facts["skipped"]) == [str(tmp_path / "broken.mid"), str(twin)]
    assert facts["skipped"][str(twin)].startswith(f"{row['id']}.mid has the same name and is measured.")
    assert not facts["fermatas"]  # MIDI has none
    assert facts["bach"]["num_pieces"] == 201
    assert facts["bach"]["grade"]["quartiles"]["low"] < facts["bach"]["grade"]["median"]
    shown = descant("evaluate", "chorales", tmp_path)
    assert "parallel fifths" in shown.out
    assert "pitch class Eb" in shown.out
    assert "ends on a root-position triad, %" in shown.out
    assert "half cadence" not in shown.out  # no phrase end is known
    assert "`descant check FILE`" in shown.out
    assert facts["cadences"]["half"] is None
    assert facts["cadences"]["last_triad"]["value"] == 100
    assert shown.err.startswith("Skipped: ")
    assert shown.err.count("broken.mid") == shown.err.count(twin.name) == 1


@pytest.mark.slow
def test_a_split_keeps_its_fermatas() -> None:
    found = read_chorales(["chorales:valid"])
    assert len(found.chorales) == 66
    assert all(chorale.has_fermatas for chorale in found.chorales)


def test_bad_sources_are_one_sentence(descant, tmp_path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for source in (tmp_path / "none.mid", empty):
        done = descant("evaluate", "chorales", source)
        assert (done.status, done.out) == (2, "")
        assert done.err.startswith("error: ")
        assert "Traceback" not in done.err


@pytest.mark.slow
def test_harmonization_of_two_sopranos_by_three_models_in_two_draws(descant, tiny_checkpoint, tmp_path) -> None:
    command = ("evaluate", "harmonization", "--model", "baseline", "--model", tiny_checkpoint, "--limit", 2)
    command = (*command, "--num-draws", 2, "--seed", 5)
    done = descant(*command, "--out", tmp_path / "midi", "--json")
    assert done.status == 0, done.err
    facts = json.loads(done.out)
    assert (facts["num_sopranos"], facts["num_draws"]) == (2, 2)
    assert list(facts["models"]) == ["nearest", "markov", tiny_checkpoint.name]
    for found in facts["models"].values():
        assert found["soprano_kept"] == 100
        assert found["num_pieces"] == 2
        assert [draw["seed"] for draw in found["draws"]] == [5, 6]
        grades = [draw["grade"]["median"] for draw in found["draws"]]
        assert found["grade"]["median"] == pytest.approx(sum(grades) / 2, abs=1e-3)
    nearest, markov = (facts["models"][name]["draws"] for name in ("nearest", "markov"))
    assert nearest[0]["rules"] == nearest[1]["rules"]
    assert markov[0]["rules"] != markov[1]["rules"]
    assert len(list((tmp_path / "midi").glob("*/*.mid"))) == 12
    again = descant(*command, "--out", tmp_path / "midi")
    assert again.status == 2
    assert "not empty" in again.err


@pytest.mark.slow
def test_the_second_draw_equals_the_first_of_the_next_seed_and_the_table_shows_both(descant) -> None:
    command = ("evaluate", "harmonization", "--model", "markov", "--limit", 3, "--no-fermatas")
    both = json.loads(descant(*command, "--num-draws", 2, "--json").out)["models"]["markov"]
    next_seed = json.loads(descant(*command, "--seed", 1, "--json").out)["models"]["markov"]
    without_time = [{**draw, "writing_seconds": 0} for draw in (both["draws"][1], *next_seed["draws"])]
    assert without_time[0] == without_time[1]
    done = descant(*command, "--num-draws", 2)
    shown = " ".join(done.out.split())
    assert "2 draws of each" in shown
    ends = sorted(draw["bach_outgrades"] for draw in both["draws"])
    assert f"{ends[0]:.2f}, {ends[1]:.2f}" in shown
    assert "markov: 3 sopranos, draw 2 of 2" in done.err


@pytest.mark.slow
def test_tunes_are_harmonized_by_kind_of_meter(descant, repo_root, tmp_path) -> None:
    command = ("evaluate", "tunes", repo_root / "tests" / "data" / "tunes", "--model", "nearest", "--limit", 3)
    done = descant(*command, "--num-draws", 2, "--out", tmp_path / "midi", "--json")
    assert done.status == 0, done.err
    facts = json.loads(done.out)
    found = facts["models"]["nearest"]
    assert [found[group]["num_tunes"] for group in ("all", "simple", "compound")] == [3, 2, 1]
    assert list(found["tunes"]) == ["auld-lang-syne", "aunt-rhody", "banish-misfortune"]
    assert facts["references"]["chorales:train"]["num_pieces"] == 201
    assert len(list((tmp_path / "midi" / "nearest").glob("*.mid"))) == 6
    shown = descant(*command, "--no-fermatas", "--reference", "chorales:valid").out
    assert "draws of each: 1" in " ".join(shown.split())
    assert "compound" in shown


@pytest.mark.slow
def test_memorization_finds_copied_training_pieces(descant, tmp_path) -> None:
    for row in split_rows("chorales:train")[:2]:
        write_midi(row_to_score(row), tmp_path / f"{row['id']}.mid")
    command = ("evaluate", "memorization", "--samples", tmp_path, "--limit", 3)
    done = descant(*command, "--json")
    assert done.status == 0, done.err
    facts = json.loads(done.out)
    assert facts["num_samples"] == 2
    assert facts["runs"]["all_four"]["median"] > 3 * facts["bach"]["runs"]["all_four"]["longest"]
    assert "soprano" not in facts["runs"]
    assert facts["copies_more_than_bach"]
    assert ("all_four", "median") in {(more["voice"], more["figure"]) for more in facts["longer_than_bach"]}
    shown = descant(*command).out
    assert "chorales:train" in shown
    assert "It copies more than Bach repeats himself" in shown


@pytest.mark.slow
def test_memorization_of_continuations(descant, tiny_checkpoint) -> None:
    done = descant("evaluate", "memorization", "--model", tiny_checkpoint, "--task", "continue", "--limit", 1, "--json")
    assert done.status == 0, done.err
    facts = json.loads(done.out)
    assert facts["num_samples"] == facts["bach"]["num_pieces"] == 1
    assert list(facts["runs"]) == ["soprano", "alto", "tenor", "bass", "all_four"]


@pytest.mark.slow
def test_a_report_is_one_page_without_external_files(descant, tiny_checkpoint, tmp_path) -> None:
    out = tmp_path / "report.html"
    command = ("evaluate", "report", "--models", "nearest", tiny_checkpoint, "--limit", 2, "--shown", 1, "--out", out)
    done = descant(*command)
    assert done.status == 0, done.err
    page = out.read_text(encoding="utf-8")
    assert page.count("<svg") == 5
    assert page.count('src="data:image/png') == 3  # piano rolls: Bach and two models
    engraved = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert len(engraved) >= 3
    sheets = [base64.b64decode(data).decode("utf-8") for data in engraved]
    assert all(sheet.startswith("<?xml") or "<svg" in sheet[:200] for sheet in sheets)
    assert not [url for sheet in sheets for url in re.findall(r'(?:src|href)="(?!#|data:)([^"]*)"|url\((?!#)', sheet)]
    assert all(word in page for word in ("nats per voice-16th", "parallel fifths", "nearest", tiny_checkpoint.name))
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "already" in descant(*command).err  # nothing is replaced without --force


def test_the_release_split_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    Output("valid", "test", quiet=False)
    assert "release" in capsys.readouterr().err
    Output("valid", quiet=False)
    Output("test", quiet=True)
    assert capsys.readouterr().err == ""
