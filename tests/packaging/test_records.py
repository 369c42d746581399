"""Figures in the documentation are those of the records."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest


def test_every_marked_figure_is_that_of_its_record(repo_root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "records/refresh.py", "--check"], cwd=repo_root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_a_stale_figure_is_found(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(repo_root / "records"))
    import refresh

    record = repo_root / "records" / "2026-11-26_chorales" / "metrics.json"
    name = record.relative_to(repo_root / "records").as_posix()
    value = f"{json.loads(record.read_text())['likelihood']['nats_per_voice_16th']:.3f}"
    text = "It has {} nats.\n\n<!--figures\n{} " + f"{name} likelihood.nats_per_voice_16th .3f\n-->\n"
    assert list(refresh.stale_figures(text.format(value, value))) == []
    (wrong,) = refresh.stale_figures(text.format("9.999", "9.999"))
    assert wrong.startswith(f"quotes 9.999, but {name} has {value}")
    grouped = "<!--figures\n{} 2026-11-24_gan/metrics.json data.notes d\n-->"
    assert list(refresh.stale_figures(f"10\u00a0550 notas\n{grouped.format('10 550')}")) == []  # as in Spanish
    assert len(list(refresh.stale_figures(f"10\u00a0551 notas\n{grouped.format('10 551')}"))) == 1
    (unquoted,) = refresh.stale_figures(text.format("some", value))
    assert unquoted.startswith(f"lists {value}")


def test_a_table_is_filled_in_from_its_records(
    repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(repo_root / "records"))
    import refresh

    monkeypatch.setattr(refresh, "RECORDS", tmp_path)
    monkeypatch.setattr(refresh, "TABLES", tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"valid": {"nats": [0.4567, 2]}}))
    (tmp_path / "run.md").write_text("r = run.json\n\n| nats |\n|---|\n| {r valid.nats.0 .3f} |\n")
    table = "| nats |\n|---|\n| 0.457 |\n"
    assert refresh.refreshed("<!--records run-->\n| stale |\n<!--/records-->") == (
        f"<!--records run-->\n{table}<!--/records-->"
    )


def test_every_table_is_embedded_somewhere(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(repo_root / "records"))
    import refresh

    pages = [path.read_text(encoding="utf-8") for path in refresh.documents()]
    embedded = {match[2] for page in pages for match in refresh.EMBEDDED.finditer(page)}
    assert embedded == {path.stem for path in refresh.TABLES.glob("*.md")}
    assert {path.stem for path in refresh.GENERATED.glob("*.md")} == embedded


def test_a_translated_table_quotes_the_same_figures(repo_root: Path) -> None:
    translated = list((repo_root / "records" / "tables").glob("*.es.md"))
    assert translated
    for path in translated:
        ours = path.with_name(path.name.replace(".es.md", ".md"))
        quoted, theirs = (re.findall(r"\{[^}]+\}", table.read_text(encoding="utf-8")) for table in (ours, path))
        assert quoted == theirs, path.name


def test_readme_states_the_figures_of_the_embedded_model(repo_root: Path) -> None:
    text = (repo_root / "README.md").read_text(encoding="utf-8")
    assert "<!--records training-->" in text
    assert "<!--records quality-->" in text


def test_the_pictures_of_training_are_those_of_the_records(repo_root: Path) -> None:
    records = {"gan": "2026-11-25_gan", "roll-gan": "2026-11-26_roll-gan", "midinet": "2026-11-26_midinet"}
    for name, record in records.items():
        shown = repo_root / "docs" / "images" / f"{name}-samples.png"
        assert shown.read_bytes() == (repo_root / "records" / record / "samples.png").read_bytes(), name


def test_records_hold_what_says_how_they_came_about(repo_root: Path) -> None:
    folders = [path for path in (repo_root / "records").iterdir() if (path / "metrics.json").is_file()]
    assert folders
    for folder in folders:
        header = json.loads((folder / "run.json").read_text())
        assert {"command", "git", "config", "versions", "machine"} <= header.keys()
        assert (folder / "log.jsonl").read_text().strip()
        for figures in json.loads((folder / "metrics.json").read_text()).values():
            assert figures["command"]


def test_the_tables_of_schemes_are_those_of_the_records(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(repo_root / "records"))
    import refresh

    text = (repo_root / "docs" / "schemes.md").read_text(encoding="utf-8")
    tables = {match[2]: match[3] for match in refresh.SCHEMES.finditer(text)}
    assert [Path(file).stem for file in tables] == ["chorales", "folk", "midi", "games"]
    for file, table in tables.items():
        record = json.loads((repo_root / "records" / file).read_text(encoding="utf-8"))
        assert {"command", "git", "versions", "machine"} <= record.keys()
        assert len(table.splitlines()) == len(record["schemes"]) + 2
        stale = f"<!--schemes {file}-->\n| stale |\n<!--/schemes-->"
        assert refresh.refreshed(stale) == f"<!--schemes {file}-->\n{table}<!--/schemes-->"


def test_rows_of_a_record_become_a_table(repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(repo_root / "records"))
    import refresh

    monkeypatch.setattr(refresh, "RECORDS", tmp_path)
    (tmp_path / "tries.json").write_text(json.dumps({"rows": [{"what": "base", "nats": 0.4567}]}))
    mark = "<!--rows tries.json change=what|nats per voice-16th=nats:.3f-->"
    table = "| change | nats per voice-16th |\n| --- | ---: |\n| base | 0.457 |\n"
    assert refresh.refreshed(f"{mark}\n| stale |\n<!--/rows-->") == f"{mark}\n{table}<!--/rows-->"


def test_what_is_said_to_hold_always_was_found_to(repo_root: Path) -> None:
    learned = json.loads((repo_root / "records/2026-11-26_learned/chorales.json").read_text())
    measured = [figures for figures in learned.values() if isinstance(figures, dict) and "walks" in figures]
    assert len(measured) == 10
    assert all(figures["decoded"] == figures["walks"] >= 1000 for figures in measured)
    for kind in ("midi", "musicxml"):
        campaign = json.loads((repo_root / f"records/2026-11-26_fuzz/{kind}.json").read_text())
        assert (campaign["inputs"], campaign["defects"]) == (20_000, {})


def test_totals_of_the_fuzz_campaigns_are_those_of_their_records(repo_root: Path) -> None:
    folder = repo_root / "records/2026-12-01_fuzz"
    totals, text = json.loads((folder / "totals.json").read_text()), (folder / "README.md").read_text()
    inputs, generations = Counter[str](), 0
    for path in set(repo_root.glob("records/*_fuzz/*.json")) - {folder / "totals.json"}:
        content = json.loads(path.read_text())
        for piece in content.get("slices", [content]):
            inputs[path.stem] += piece.get("inputs", 0)
            generations += piece.get("generations", 0)
    assert {kind: count["sum"] for kind, count in totals["inputs"].items()} == +inputs
    assert totals["all"]["sum"] == inputs.total()
    assert totals["generations"]["sum"] == generations
    for kind, count in {**totals["inputs"], **{name: totals[name] for name in ("all", "generations")}}.items():
        assert f"| {kind} | {count['earlier']:,} | {count['today']:,} | {count['sum']:,} |" in text


def test_the_documentation_states_every_limit_of_every_scheme(repo_root: Path) -> None:
    from descant_tokenizers.comparison.schemes import load_scheme, scheme_names
    from descant_tokenizers.tokens.kinds import MULTITRACK

    rows = (repo_root / "docs" / "schemes.md").read_text(encoding="utf-8").splitlines()
    for name in scheme_names():
        (row,) = [row for row in rows if row.startswith(f"| `{name}` |") and row.count("|") == 4]
        assert all(limit in row for limit in load_scheme(name, MULTITRACK).limits), name


def test_an_estimate_is_shown_with_its_interval(
    repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(repo_root / "records"))
    import refresh

    monkeypatch.setattr(refresh, "RECORDS", tmp_path)
    row = {"figure": "length", "rho": {"value": 0.126, "low": -0.1, "high": 0.3}}
    (tmp_path / "found.json").write_text(json.dumps({"rows": [row], "first": row}))
    assert refresh.figure("found.json", "first.rho", ".2f") == "0.13 [-0.10, 0.30]"
    table = refresh.rows_table("found.json", "figure=figure|correlation=rho:.2f")
    assert table.split("\n")[-1] == "| length | 0.13 [-0.10, 0.30] |"


def test_rank_correlations_by_hand(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(repo_root / "records"))
    import js_fakes
    import numpy as np

    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert js_fakes.spearman(values, values**3).value == pytest.approx(1)
    assert js_fakes.spearman(values, -values).value == pytest.approx(-1)
    # Ranks 1, 2.5, 2.5, 4, 5 and 2, 1, 3, 4, 5: 1 - 6 (1 + 2.25 + 0.25) / 120 but for the ties.
    tied = js_fakes.spearman(np.array([1.0, 2.0, 2.0, 4.0, 5.0]), np.array([2.0, 1.0, 3.0, 4.0, 5.0]))
    assert tied.value == pytest.approx(np.corrcoef([1, 2.5, 2.5, 4, 5], [2, 1, 3, 4, 5])[0, 1])
    assert tied.low <= tied.value <= tied.high
    unknown = np.array([np.nan, 2.0, 3.0, 4.0, 5.0])
    assert js_fakes.spearman(unknown, np.array([99.0, 2.0, 3.0, 4.0, 5.0])).value == pytest.approx(1)


def test_answers_that_chance_explains_are_not_reliable(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(repo_root / "records"))
    import js_fakes
    import numpy as np

    rng = np.random.default_rng(0)
    heard = np.full(2000, 8.0)
    alike = js_fakes.reliability(rng.binomial(8, 0.57, size=2000).astype(float), heard)
    assert alike.low < 0 < alike.high
    # Pieces that are told in 20 % and in 80 %: variance 0.09 between them, and 0.16 / 8 by chance.
    differing = js_fakes.reliability(rng.binomial(8, rng.choice([0.2, 0.8], size=2000)).astype(float), heard)
    assert differing.value == pytest.approx(0.09 / 0.11, abs=0.02)


def test_answers_are_counted_by_skill(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(repo_root / "records"))
    import js_fakes

    answers = [{f"skill_{skill}": {"responses": skill, "correct": skill // 2} for skill in range(6)}]
    told, heard = js_fakes.answer_counts(answers, js_fakes.SKILLS["skilled"])
    assert (told.tolist(), heard.tolist()) == ([5], [12])
    assert js_fakes.answer_counts(answers, js_fakes.SKILLS["all"])[1].tolist() == [15]
