"""What Gradio's controls look like."""

from __future__ import annotations

import gradio as gr

__all__ = ["paper_and_ink"]


def paper_and_ink() -> gr.themes.Base:
    """Return a theme with fonts that every system has."""
    fonts = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Liberation Sans", "sans-serif"]
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.rose, neutral_hue=gr.themes.colors.stone, font=fonts, font_mono=["monospace"]
    )
    return theme.set(
        body_background_fill="#f6f3ee",
        body_background_fill_dark="#171513",
        body_text_color="#211d1a",
        body_text_color_dark="#f2ede6",
        body_text_color_subdued="#5d554d",
        body_text_color_subdued_dark="#b9afa4",
        block_info_text_color="#5d554d",
        block_info_text_color_dark="#b9afa4",
        block_label_text_color="#4a443e",
        block_title_text_color="#4a443e",
        block_title_text_color_dark="#d8cfc4",
        block_background_fill="#ffffff",
        block_background_fill_dark="#23201e",
        block_border_color="#d9d2c8",
        button_primary_background_fill="#7a2231",
        button_primary_background_fill_hover="#5f1926",
        button_primary_background_fill_dark="#f0a3a8",
        button_primary_background_fill_hover_dark="#f7bfc2",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#2a0d11",
        slider_color="#7a2231",
        slider_color_dark="#f0a3a8",
        checkbox_background_color_selected="#7a2231",
        checkbox_border_color_selected="#7a2231",
        checkbox_label_background_fill_selected="#f3e4e4",
        checkbox_label_background_fill_selected_dark="#46292c",
    )
