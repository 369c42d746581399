"""The page in Spanish, in a real browser: nothing on it stays English, and the music is the same as in English."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Every text and name of an element, also inside shadow roots, and of what is folded or hidden.
TEXTS = """() => {
  const found = new Set();
  const visit = (root) => {
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot) visit(element.shadowRoot);
      if (element.closest("script, style, desc, .dsc-languages")) continue;
      for (const node of element.childNodes) if (node.nodeType === Node.TEXT_NODE) found.add(node.textContent.trim());
      for (const name of ["aria-label", "title", "placeholder"]) found.add(element.getAttribute(name));
    }
  };
  visit(document.body);
  return [...found].filter(Boolean);
}"""
WORD = re.compile("[A-Za-z]{2}")
SAME_IN_BOTH = {
    *(
        "Descant",
        "Bach",
        "Soprano",
        "Tenor",
        "Piano",
        "piano",
        "Tempo",
        "error",
        "dB",
        "bach",
        "MIDI",
        "MusicXML",
        "PDF",
        "MP3",
    ),
    *("4, 8, 12", "G | C D7 | G/B C | D", "Transformer (echo)", "Greensleeves", "Amazing grace"),
    *("Au clair de la lune", "Old hundredth", "Row your boat"),
}


def _written(page: Any, seed: str = "7") -> set[str]:
    """Write a take with everything unfolded, and return all texts of the page."""
    page.type_tune("ccdd")
    for fold in page.locator("descant-editor summary, button.label-wrap").all():
        fold.click()
    page.locator("#dsc-seed textarea, #dsc-seed input").fill(seed)
    page.locator("#dsc-write").click()
    page.locator("descant-player .sheet > svg").wait_for()
    page.locator("descant-player .faults li").first.wait_for()
    page.wait_for_timeout(500)
    texts: list[str] = page.evaluate(TEXTS)
    return {text for text in texts if WORD.search(text)}


def test_no_text_of_the_spanish_page_is_english(stage: Any) -> None:
    stage.echo.may_go_on.set()
    english, spanish = stage.open_page(locale="en-GB"), stage.open_page(locale="es-ES")
    found = _written(english), _written(spanish)
    assert min(map(len, found)) > 150
    assert {"Harmonize it", "Mute Alto", "number input for Takes", "Take 1 written."} <= found[0]
    assert {"Armonizarla", "Silenciar: Contralto", "Versiones: número", "Listo: Versión 1."} <= found[1]
    assert sorted((found[0] & found[1]) - SAME_IN_BOTH) == []
    assert spanish.evaluate("() => [document.documentElement.lang, navigator.language]") == ["es", "es"]
    assert english.facts(1)["notes"] == spanish.facts(1)["notes"]
    for page in (english, spanish):
        page.leave()


def test_an_example_is_harmonized_and_errors_are_read_in_spanish(open_page: Callable[..., Any], tmp_path: Path) -> None:
    page = open_page(locale="es-ES", viewport={"width": 1366, "height": 768})
    (tmp_path / "vacío.mid").write_bytes(b"")
    page.upload(tmp_path / "vacío.mid")
    page.locator("descant-editor .problem").filter(has_text="vacío.mid está vacío. Vuelve a exportarlo.").wait_for()
    page.locator("#dsc-write").click()
    page.wait_for_words("Todavía no hay melodía. Dibuja una, elige un ejemplo o sube un archivo.", "alert")
    page.get_by_label("Ejemplos").select_option("Himno a la alegría")
    page.locator("descant-editor rect.note").nth(50).wait_for()
    page.get_by_role("button", name="Dirigir la armonía").click()
    page.get_by_label("Tonalidad al final").fill("sol meyor")
    page.locator("#dsc-write").click()
    page.wait_for_words("«sol meyor» no es una tonalidad.", "alert")
    page.get_by_label("Tonalidad al final").fill("Sol mayor")
    page.locator("#dsc-write").click()
    page.locator("descant-player .sheet > svg").wait_for()
    page.wait_for_words("Listo: Versión 1.")
    player = page.locator("descant-player")
    assert "Himno a la alegría, armonizada por chorales, semilla" in player.locator(".made").inner_text()
    assert "Tonalidad: sol mayor (como se pidió)" in player.locator(".plan").inner_text()
    assert "Contralto" in player.locator(".sheet").inner_html()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 1366
    page.get_by_role("link", name="English").click()
    page.get_by_role("button", name="Write", exact=True).wait_for()
    page.goto(page.url.split("/en/")[0])
    page.get_by_role("button", name="Write", exact=True).wait_for()  # the choice is kept
    page.leave()
