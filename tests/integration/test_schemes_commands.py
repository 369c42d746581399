"""`descant tokenizer compare` and `descant tokenizer inspect --scheme`, as a user types them."""

from __future__ import annotations

import html.parser
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

from descant_tokenizers.comparison.catalogue import CATALOGUE
from descant_tokenizers.comparison.compare import COLUMNS, markdown_table, plot
from descant_tokenizers.comparison.sheet import MAX_TOKENS, make_token_sheet, page
from descant_tokenizers.scores import VOICES

TPQ = 480


def tune(
    num_notes: int = 32, *, names: tuple[str, ...] = ("Piano",), step: int = TPQ, meter: tuple[int, int] = (4, 4)
) -> ScoreTick:
    score = ScoreTick(TPQ)
    score.time_signatures.append(TimeSignatureTick(0, *meter))
    for rank, name in enumerate(names):
        track = TrackTick(name, rank, False)
        for index in range(num_notes):
            track.notes.append(NoteTick(index * step, step, 70 - 6 * rank + index % 5, 80))
        score.tracks.append(track)
    return score


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four files: one in 4/4, one in 3/4, one off every grid, one that is no music."""
    songs = tmp_path / "songs"
    (songs / "deep").mkdir(parents=True)
    tune(names=("Piano", "Flute")).dump_midi(songs / "a.mid")
    tune(24, meter=(3, 4)).dump_midi(songs / "deep" / "b.midi")
    tune(20, step=TPQ // 7).dump_midi(songs / "c.mid")
    (songs / "d.mid").write_bytes(b"no music")
    (songs / "readme.txt").write_text("not a score")
    return songs


def compared(descant: Callable, *arguments: object) -> dict:
    done = descant("tokenizer", "compare", *arguments, "--json")
    assert done.status == 0, done.err
    return json.loads(done.out)


def test_a_folder_is_compared_and_what_cannot_be_read_is_named(descant: Callable, folder: Path) -> None:
    figures = compared(descant, folder)
    assert (figures["num_found"], figures["num_pieces"], figures["music"]) == (4, 3, "any")
    assert list(figures["skipped"]) == ["d.mid"]
    assert figures["num_notes"] == 64 + 24 + 20
    by_name = {scheme["name"]: scheme for scheme in figures["schemes"]}
    assert by_name.keys() >= CATALOGUE.keys()
    assert "satb" not in by_name
    remi = by_name["remi"]
    # Bar and TimeSig a bar; Position an onset; Program, Pitch and Duration a note
    tokens = 2 * (8 + 8 + 1) + (32 + 24 + 20) + 3 * (64 + 24 + 20)
    assert figures["num_bars"] == 17
    assert remi["num_tokens"] == tokens
    assert remi["tokens_per_note"] == pytest.approx(tokens / 108)
    assert remi["tokens_per_bar"] == pytest.approx(tokens / 17)
    assert (remi["num_exact"], remi["num_same_notes"], remi["note_f1"]) == (2, 2, 1.0)
    assert by_name["structured"]["num_exact"] == 1  # 3/4 is lost
    assert by_name["structured"]["num_same_notes"] == 2
    assert by_name["octuple"]["tokens_per_note"] == 1
    assert all(scheme["notes_per_second"] > 0 and scheme["num_refused"] == 0 for scheme in by_name.values())


def test_four_voices_get_their_own_vocabulary(descant: Callable, tmp_path: Path) -> None:
    tune(names=VOICES).dump_midi(tmp_path / "four.mid")
    figures = compared(descant, tmp_path / "four.mid", "--schemes", "satb, remi,Octuple")
    satb, remi, octuple = figures["schemes"]
    assert figures["music"] == "voices"
    assert satb["num_tokens"] == remi["num_tokens"]
    assert satb["vocabulary"] == remi["vocabulary"] + 4  # SEP and the three tasks
    assert satb["exact_share"] == remi["exact_share"] == octuple["exact_share"] == 1
    assert len(octuple["vocabulary_sizes"]) == 6


def test_what_a_scheme_refuses_counts_as_lost(descant: Callable, folder: Path) -> None:
    (satb,) = compared(descant, folder, "--schemes", "satb")["schemes"]
    assert (satb["num_refused"], satb["exact_share"], satb["note_f1"], satb["tokens_per_note"]) == (3, 0, 0, None)


def test_a_limit_draws_the_same_pieces_for_the_same_seed(descant: Callable, folder: Path) -> None:
    draws = [
        compared(descant, folder, "--schemes", "remi", "--limit", 1, "--seed", seed)["num_notes"] for seed in (1, 1)
    ]
    assert draws[0] == draws[1]


def test_the_table_has_every_column_and_a_summary(descant: Callable, folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "vocabulary.png"
    done = descant("tokenizer", "compare", folder, "--schemes", "remi,structured,satb", "--plot", picture)
    assert done.status == 0
    heading, *rows = done.out.splitlines()
    assert re.split(r"\s{2,}", heading.strip()) == list(COLUMNS)
    assert [row.split()[0] for row in rows[:3]] == ["remi", "structured", "satb"]
    assert "…" not in "".join(rows[:3])
    assert "3 pieces, 108 notes, 17 bars, vocabularies for any MIDI" in done.out
    assert "skipped: 1" in done.out
    assert "refused by satb: 3" in done.out
    assert "limits of structured: time signatures are dropped" in done.out
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_shares_are_drawn_against_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    drawn: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *a, **k: (drawn.append(figure), save(figure, *a, **k)))
    keys = ("tokens_per_note", "bits_per_note", "exact_share", "note_f1", "notes_per_second")
    scheme = dict.fromkeys(keys, 0.25) | {"name": "remi", "note_f1": 0.99999}
    plot({"schemes": [scheme]}, tmp_path / "plot.png", "title")
    ends = [axes.get_xlim()[1] for axes in drawn[0].axes]
    assert ends == pytest.approx([0.325, 0.325, 1.3, 1.3, 0.325])
    assert [text.get_text() for text in drawn[0].axes[3].texts] == ["0.9999"]


def test_quiet_prints_the_table_alone(descant: Callable, folder: Path) -> None:
    done = descant("tokenizer", "compare", folder, "--schemes", "remi", "--quiet")
    assert len(done.out.splitlines()) == 2
    assert done.err == ""


def test_the_markdown_table_is_made_from_the_same_figures(descant: Callable, folder: Path) -> None:
    figures = compared(descant, folder, "--schemes", "remi,cpword")
    lines = markdown_table(figures).splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {len(COLUMNS) + 1}
    assert "66.7 %" in lines[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "Unknown corpus 'nowhere'"),
        (["nowhere.mid"], "There is no file nowhere.mid"),
        (["songs", "--schemes", "remi,nope"], "'nope' is not a tokenizer scheme"),
        (["songs", "--limit", "-1"], "The limit is -1"),
        (["songs", "--plot", "picture.jpg"], "Give a name that ends in .png"),
        (["songs", "--plot", "there.png"], "there.png already exists"),
        (["empty"], "holds no score file"),
        (["songs/d.mid"], "songs/d.mid"),
    ],
)
def test_bad_input_is_one_sentence(
    descant: Callable, folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(folder.parent)
    Path("there.png").write_bytes(b"mine")
    Path("empty").mkdir()
    done = descant("tokenizer", "compare", *arguments)
    assert done.status == 2
    assert done.err.startswith("error: ")
    assert message in done.err
    assert len(done.err.splitlines()) == 1
    assert Path("there.png").read_bytes() == b"mine"


# inspect


@pytest.mark.parametrize("name", ["gm", *CATALOGUE])
def test_any_scheme_shows_any_file(descant: Callable, folder: Path, name: str) -> None:
    done = descant("tokenizer", "inspect", folder / "a.mid", "--scheme", name)
    assert done.status == 0
    assert "64 notes" in done.out
    assert "bar 8, 4/4" in done.out
    assert "decoded again, every note and time signature is the same" in done.out


def test_losses_are_said(descant: Callable, folder: Path) -> None:
    done = descant("tokenizer", "inspect", folder / "deep" / "b.midi", "--scheme", "structured")
    assert "decoded again: the time signatures are not the same" in done.out
    done = descant("tokenizer", "inspect", folder / "c.mid", "--scheme", "remi")
    assert re.search(r"decoded again: \d+ of 20 notes change", done.out)


class Reader(html.parser.HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("name", ["satb", "tsd", "octuple", "mmm"])
def test_a_page_holds_every_token_with_its_meaning_and_fetches_nothing(
    descant: Callable, folder: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / f"{name}.html"
    assert descant("tokenizer", "inspect", folder / "a.mid", "--scheme", name, "--html", out).status == 0
    text = out.read_text(encoding="utf-8")
    reader = Reader(text)
    assert reader.open == []
    sheet = make_token_sheet(folder / "a.mid", scheme_name=name)
    names = [token for step in sheet.steps for token in step.names]
    shown = [attributes for tag, attributes in reader.tags if tag == "b"]
    assert len(shown) == len(names) >= len(sheet.steps)
    assert all(attributes["data-says"] and attributes["class"] for attributes in shown)
    assert {tag for tag, _ in reader.tags} <= {
        *["html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "ul", "li", "div", "section", "span", "b"]
    }
    assert not re.search(r"https?:|//|url\(|@import|src=|href=", text.replace("<!doctype html>", ""))
    assert "prefers-color-scheme: dark" in text
    legend = {attributes["class"] for tag, attributes in reader.tags if tag == "span"} - {"step"}
    assert legend == {attributes["class"] for attributes in shown}


def test_a_page_escapes_names(tmp_path: Path) -> None:
    path = tmp_path / "<script>alert(1)<&.mid"
    tune(names=('<img src=x onerror="alert(2)">',)).dump_midi(path)
    text = page(make_token_sheet(path, scheme_name="satb"))
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script&gt;alert(1)&lt;&amp;.mid" in text
    assert "&lt;img src=x onerror=&quot;alert(2)&quot;&gt;" in text


def test_a_very_long_page_says_what_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import descant_tokenizers.comparison.sheet

    assert MAX_TOKENS > 10_000
    monkeypatch.setattr(descant_tokenizers.comparison.sheet, "MAX_TOKENS", 40)
    path = tmp_path / "long.mid"
    tune(64).dump_midi(path)
    text = page(make_token_sheet(path, scheme_name="remi"))
    assert "more bars are not shown" in text
    assert text.count("<section>") == 3


def test_a_page_is_never_replaced_unasked(descant: Callable, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    out.write_text("mine")
    refused = descant("tokenizer", "inspect", folder / "a.mid", "--html", out)
    assert (refused.status, out.read_text()) == (2, "mine")
    assert "Add --force" in refused.err
    assert descant("tokenizer", "inspect", folder / "a.mid", "--html", out, "--force").status == 0
    assert out.read_text().startswith("<!doctype html>")
    assert "ends in .html" in descant("tokenizer", "inspect", folder / "a.mid", "--html", tmp_path / "page.txt").err
