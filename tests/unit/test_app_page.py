"""What Gradio keeps of the page."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="needs the extra `app`")

from descant_modeling.app.page import make_app
from descant_modeling.app.requests import AppLimits
from descant_modeling.app.service import Service


def test_no_more_sessions_are_kept_than_the_limits_say(style_checkpoint: Path) -> None:
    server = make_app(Service([str(style_checkpoint)], AppLimits(num_sessions=3)))
    mounted = [getattr(route, "app", None) for route in server.routes]
    (holder,) = [app.state_holder for app in mounted if hasattr(app, "state_holder")]
    for number in range(5):
        holder[f"visitor{number}"]
    assert list(holder.session_data) == ["visitor2", "visitor3", "visitor4"]
