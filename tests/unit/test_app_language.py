"""The languages of the page: each text of the page has a translation, and the library's messages are recognized."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from descant_modeling.app.language import _SENTENCES, ENGLISH, Language, check_language, languages, preferred
from descant_modeling.app.words import HARMONIC_RHYTHMS, LAST_CHORDS, for_page
from descant_modeling.evaluation.rules import RULES
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering import SOUNDS
from descant_tokenizers.rendering.spelling import Key, parse_key
from descant_tokenizers.scores import VOICES
from descant_tokenizers.scores.ensembles import QUARTET, SONG

ROOT = Path(__file__).parents[2]
APP = ROOT / "modeling" / "descant_modeling" / "app"
OTHERS = [language for language in languages().values() if language is not ENGLISH]

SAME_IN_BOTH = {"4, 8, 12", "G | C D7 | G/B C | D", "Soprano", "Tenor", "Piano", "piano", "Tempo", "GAN", "Transformer"}
"""Texts that a translation may leave as they are."""
ONLY_OF_THE_API = {"http_api.py", "schemas.py", "tasks.py", "submissions.py", "language.py"}
NOT_ON_THE_PAGE = {
    "A message has more than {} letters. Send one note.",
    "A message has neither a note nor an end. Send onset and pitch, or end.",
    "A message is not a text. Send JSON.",
    "{} {}. Use generate.py with it.",
}
"""Messages to other programs, and one of the start."""
ASSEMBLED = {"This took longer than {} seconds and was stopped. {}", "{} play along. Choose {}."}
"""Messages with a part that is a sentence; `SENTENCES` has them whole."""
SENTENCES = {
    "This took longer than 300 seconds and was stopped. Ask for fewer bars or takes.",
    "This took longer than 1.5 seconds and was stopped. Take a shorter piece, or try again later.",
    "None of the models here can play along. Choose another model for the server.",
    "All tracks play several notes at once, so none is a melody. Choose as the melody track one of 1 'Alto', 2.",
    "Track 2 'Oboe' plays several notes at once. Put the melody on a track of its own.",
    "tune.mid is not a MIDI file, or is cut off. Export it again.",
    "Gan only harmonizes. Choose another model or task.",
    "Gan only harmonizes, and so cannot keep bars or voices. Unlock them.",
    "harmonized by chorales in the style hymn, seed 7",
    "Take 3 but for bars 1, 3-4 and Alto over these chords, seed 7",
    "melody: track 1 'Tune' (the highest of 2 monophonic, median A4); 1 overlapping note trimmed, as Soprano",
    "over the chord symbols of the file; free where they are N.C.",
    "written by chorales, because gan only harmonizes",
    "F# minor (from the file; the notes suggest A major)",
    "parallel fifths S-A, out of range A",
    "Transformer for quartets with styles",
}


@pytest.fixture(params=OTHERS, ids=lambda language: language.code)
def say(request: pytest.FixtureRequest) -> Language:
    language: Language = request.param
    return language


def _templates(node: ast.AST) -> Iterator[str]:
    """Yield the texts that an expression can be, with `{}` for what varies."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from (*_templates(node.body), *_templates(node.orelse))


def _calls(path: Path, *names: str) -> Iterator[ast.expr]:
    """Yield the first arguments of the calls of some functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.args:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in names:
                yield node.args[0]


def _messages(path: Path) -> Iterator[str]:
    """Yield what a module may say, in the words of the page, with `X7` for what varies."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) not in docstrings and isinstance(node, ast.Constant | ast.JoinedStr):
            for text in _templates(node):
                words = for_page(Exception(text.replace("{}", "X7")))
                if words.endswith((".", "X7")) and " " in words:
                    yield from (words, words.replace("The file", "X7", 1))


def _tagged(script: str) -> Iterator[str]:
    """Yield the template literals that a script looks up, with `{}` for what varies."""
    for found in re.finditer(r"(?<![\w$])t`", script):
        text, place, depth = "", found.end(), 0
        while depth or script[place] != "`":
            if not depth and script.startswith("${", place):
                text, depth, place = text + "{}", 1, place + 2
                continue
            depth += {"{": 1, "}": -1}.get(script[place], 0) if depth else 0
            text += "" if depth or script[place] == "}" else script[place]
            place += 1
        yield text


def _texts_of_the_page() -> set[str]:
    python = {text for path in APP.glob("*.py") for call in _calls(path, "say") for text in _templates(call)}
    scripts = {text for path in (APP / "assets").glob("*.js") for text in _tagged(path.read_text(encoding="utf-8"))}
    assert len(python) > 40
    assert len(scripts) > 100
    return python | scripts


def test_every_text_of_the_page_is_translated_and_no_other(say: Language) -> None:
    texts = _texts_of_the_page()
    assert sorted(texts - set(say.texts)) == []
    words = [text for text, translation in say.texts.items() if text == translation and re.search("[a-z]", text)]
    assert sorted(text for text in words if text in texts and text not in SAME_IN_BOTH) == []
    sections = json.loads((APP / "texts" / f"{say.code}.json").read_text(encoding="utf-8"))
    kept = [text for name in ("page", "melody", "takes") for text in sections[name]]
    assert sorted(set(kept) - texts) == []
    assert len(say.texts) == sum(len(sections[name]) for name in sections if name != "name")  # none twice


def test_translations_have_the_values_of_their_texts(say: Language) -> None:
    for text, translation in say.texts.items():
        count = text.count("{}")
        values = [f"<{place}>" for place in range(count)]
        assert sorted(re.findall("<.>", translation.format(*values))) == values, text
        assert text.endswith(".") == translation.endswith("."), text


def test_names_that_the_page_shows_are_translated(say: Language) -> None:
    names = {*VOICES, *SONG.tracks, *QUARTET.tracks, *HARMONIC_RHYTHMS, *LAST_CHORDS, *map(str.capitalize, SOUNDS)}
    names |= {word for rule in RULES for word in (rule.label, rule.unit, rule.name, rule.statement)}
    names |= {str(Key(sharps, mode)) for sharps in range(-7, 8) for mode in ("major", "minor")}
    assert sorted(names - set(say.texts)) == []
    assert all(parse_key(say.original(say(str(key)).upper())) == key for key in (Key(1, "major"), Key(3, "minor")))


def test_the_errors_of_the_page_are_translated(say: Language) -> None:
    found = {
        text
        for path in APP.glob("*.py")
        if path.name not in ONLY_OF_THE_API
        for call in _calls(path, "InputError", "QueueFullError")
        for text in _templates(call)
    }
    assert len(found) > 40
    assert found >= ASSEMBLED | NOT_ON_THE_PAGE
    filled = {for_page(InputError(text.replace("{}", "X7"))) for text in found - ASSEMBLED - NOT_ON_THE_PAGE}
    assert sorted(text for text in filled | SENTENCES if say.filled(text) == text) == []


def test_translated_messages_are_those_of_the_code(say: Language) -> None:
    """A message that is reworded in English would stay English without a word."""
    sources = [path for package in ("tokenizers", "modeling") for path in (ROOT / package).rglob("*.py")]
    found = {text for path in sources if path.parent.name != "cli" for text in _messages(path)}
    written = {part for text in found for part in (text, *_SENTENCES.split(text))} - {" "}
    words = {text for text in written if "X7" not in text or len(re.sub("X7|[^a-z]", "", text)) > 3}
    patterns = [re.compile("(.+)".join(map(re.escape, text.split("X7"))), re.IGNORECASE) for text in words]

    def is_written(text: str) -> bool:
        return text in words or any(pattern.fullmatch(text) for pattern in patterns)

    messages = [text for text in say.messages if text.endswith(".")]
    left = [text for text in messages if not is_written(text) and not all(map(is_written, _SENTENCES.split(text)[::2]))]
    assert left == [], "\n".join(left)


def test_numbers_and_lists_are_written_as_in_the_language() -> None:
    say = languages()["es"]
    assert say("{} written.", "Take 1 and Take 2") == "Listo: Versión 1 y Versión 2."
    assert say.filled("big.mid has more than 1,048,576 bytes. Cut it shorter.").split() == (
        ["big.mid", "tiene", "más", "de", "1", "048", "576", "bytes.", "Recórtalo."]
    )
    assert say.filled("Rock and roll.mid is empty. Export it again.") == (
        "Rock and roll.mid está vacío. Vuelve a exportarlo."
    )
    assert say.filled("This and that is unknown. Leave it, or not.") == "This and that is unknown. Leave it, or not."
    assert ENGLISH("{} of {} bars", 1, 2) == "1 of 2 bars"


@pytest.mark.parametrize(
    ("accepted", "code"),
    [
        ("", "en"),
        ("es-ES,es;q=0.9,en;q=0.8", "es"),
        ("en-GB,en;q=0.9,es;q=0.8", "en"),
        ("fr, es;q=0.2, en;q=0.1", "es"),
        ("de", "en"),
        ("es;q=0, *", "en"),
        ("es;q=x", "es"),
    ],
)
def test_the_browsers_language_is_taken(accepted: str, code: str) -> None:
    assert preferred(accepted, ["en", "es"]) == code


def test_a_language_that_is_not_there_is_refused() -> None:
    check_language(None)
    with pytest.raises(InputError, match=r"There is no language 'xx' here\. Choose en or es\."):
        check_language("xx")
