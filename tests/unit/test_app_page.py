"""The server of the page: its languages, and what Gradio keeps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="needs the extra `app`")

from fastapi.testclient import TestClient

from descant_modeling.app.language import languages
from descant_modeling.app.page import make_app
from descant_modeling.app.requests import AppLimits
from descant_modeling.app.service import Service
from descant_tokenizers.common.errors import InputError

SAME_IN_ALL = {"Descant", "4, 8, 12", "G | C D7 | G/B C | D", "Soprano", "Tenor", "Piano", "bach"}


def test_no_more_sessions_are_kept_than_the_limits_say(style_checkpoint: Path) -> None:
    server = make_app(Service([str(style_checkpoint)], AppLimits(num_sessions=3)))
    mounted = [getattr(route, "app", None) for route in server.routes]
    holders = [app.state_holder for app in mounted if hasattr(app, "state_holder")]
    assert len(holders) == len(languages())
    for holder in holders:
        for number in range(5):
            holder[f"visitor{number}"]
        assert list(holder.session_data) == ["visitor2", "visitor3", "visitor4"]


def _texts(client: TestClient, code: str) -> list[str]:
    """Return every text that the controls of the page show, in their order."""
    found = []
    for component in client.get(f"/{code}/config").json()["components"]:
        props = component["props"]
        found += [props.get("label"), props.get("info"), props.get("placeholder")]
        found += [label for label, _ in props.get("choices") or []]
        if component["type"] in ("html", "button") and isinstance(props.get("value"), str):
            found += re.sub(r"<nav.*</nav>|<[^>]*>", "\n", props["value"]).split("\n")
    return [text for text in found if text and re.search("[A-Za-z]", text)]


def _values(client: TestClient, code: str) -> list[object]:
    """Return the choices and the values of the controls."""
    props = [
        each["props"]
        for each in client.get(f"/{code}/config").json()["components"]
        if each["type"] not in ("html", "button", "markdown")
    ]
    return [([value for _, value in each.get("choices") or []], each.get("value")) for each in props if "value" in each]


def test_the_page_is_whole_in_each_language_and_its_values_are_the_same(style_checkpoint: Path) -> None:
    names = [str(style_checkpoint)]
    client = TestClient(make_app(Service(names)))
    english = _texts(client, "en")
    assert {"Task", "Harmonize it", "G major", "Your melody", "Write"} <= set(english)
    for code in languages():
        translated = _texts(client, code)
        assert len(translated) == len(english)
        same = {a for a, b in zip(english, translated, strict=True) if a == b}
        assert code == "en" or same <= {
            "Descant",
            "4, 8, 12",
            "G | C D7 | G/B C | D",
            "Soprano",
            "Tenor",
            "Piano",
            "bach",
        }
        assert _values(client, code) == _values(client, "en")


def test_the_language_is_the_browsers_until_one_is_chosen(style_checkpoint: Path) -> None:
    client = TestClient(make_app(Service([str(style_checkpoint)])), follow_redirects=False)
    spanish = {"Accept-Language": "es-ES,es;q=0.9,en;q=0.8"}
    assert client.get("/").headers["location"] == "en/"
    assert client.get("/?__theme=dark", headers=spanish).headers["location"] == "es/?__theme=dark"
    assert "set-cookie" not in client.get("/?language=xx").headers
    client.get("/?language=en")
    assert client.get("/", headers=spanish).headers["location"] == "en/"
    client.get("/?language=es")
    assert client.get("/").headers["location"] == "es/"
    assert client.get("/favicon.ico", follow_redirects=True).status_code == 200
    refused = client.get("/es/descant/music/nobody/1.json")
    assert (refused.status_code, refused.json()) == (422, {"error": "Esta página se ha cerrado. Vuelve a cargarla."})


def test_a_fixed_language_is_the_only_one(style_checkpoint: Path) -> None:
    client = TestClient(make_app(Service([str(style_checkpoint)]), language="es"), follow_redirects=False)
    assert client.get("/?language=en").headers["location"].startswith("es/")
    assert client.get("/en/config").status_code == 404
    assert "<nav" not in client.get("/es/config").text
    with pytest.raises(InputError, match="There is no language 'xx' here"):
        make_app(Service([]), language="xx")
