"""`descant render`: write any score as notation, picture and sound."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from descant_tokenizers.common.errors import InputError, shown
from descant_tokenizers.common.files import (
    FORMATS,
    OUT_FOLDER,
    check_outputs,
    free_outputs,
    parse_formats,
    rendering_name,
    title_of,
)
from descant_tokenizers.rendering import SOUNDS, Layout, PracticeOptions, parse_sounds

OwnVoiceDb = Annotated[
    float,
    typer.Option(
        help="How much louder a voice is in its own practice track, in dB.", rich_help_panel="Practice tracks"
    ),
]
PracticeTempo = Annotated[
    float, typer.Option(help="Tempo of practice tracks, in percent.", rich_help_panel="Practice tracks")
]
CountIn = Annotated[
    bool,
    typer.Option(
        "--count-in/--no-count-in",
        help="Begin practice tracks with a bar of clicks.",
        rich_help_panel="Practice tracks",
    ),
]


def render_command(
    file: Annotated[Path, typer.Argument(help="A score: MIDI, MusicXML, ABC or Humdrum.")],
    formats: Annotated[str, typer.Option(help=f"Comma-separated: {', '.join(FORMATS)}.")] = "musicxml,svg",
    out: Annotated[
        Path | None,
        typer.Option(help="Name without a suffix. Default: out/<file>, numbered where files of that name exist."),
    ] = None,
    layout: Annotated[
        Layout | None,
        typer.Option(help="A staff for each track, or two voices to a staff (default for four voices)."),
    ] = None,
    given: Annotated[
        str | None, typer.Option(help="Tracks to show as given, such as soprano; notes of the others are colored.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="The key, such as 'F# minor'. Default: auto.")] = None,
    chords: Annotated[bool, typer.Option("--chords", help="Write and print chord symbols and Roman numerals.")] = False,
    sound: Annotated[
        str | None,
        typer.Option(
            help=f"Sound of every track: {', '.join(SOUNDS)}; or of single ones, such as soprano=piano. Default: the "
            "nearest to its instrument."
        ),
    ] = None,
    own_voice_db: OwnVoiceDb = PracticeOptions.own_voice_db,
    practice_tempo: PracticeTempo = PracticeOptions.tempo_percent,
    count_in: CountIn = PracticeOptions.counts_in,
    pickup: Annotated[
        str | None, typer.Option(metavar="BEATS", help="Length of a pickup that the file does not state.")
    ] = None,
    tune: Annotated[
        int | None,
        typer.Option(help="Tune of an ABC file that holds several: the number in its X: field, or its place."),
    ] = None,
    no_repeats: Annotated[
        bool, typer.Option("--no-repeats", help="Play a notation file as it is written, without repeats and jumps.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files at --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Write a score as sheet music, picture and sound."""
    from descant_tokenizers.rendering.spelling import parse_key

    forms = parse_formats(formats)
    practice, sounds = (
        PracticeOptions(own_voice_db, practice_tempo, count_in),
        None if sound is None else parse_sounds(sound),
    )
    chosen_key = None if key is None else parse_key(key)
    name = rendering_name(out or OUT_FOLDER / (file.stem or file), forms, None if out is None else file)
    name = free_outputs(name, 1)[0] if out is None else name
    check_outputs(name, 1, forms, force=force)

    from descant_tokenizers.rendering.write import Rendering, write_renderings
    from descant_tokenizers.scores import read_score_report, with_pickup

    read = read_score_report(file, marks=True, unfold=not no_repeats, tune=tune)
    score = read.score if pickup is None else with_pickup(read.score, pickup)
    names = None if given is None else _parse_tracks(given, [track.name for track in read.score.tracks])
    rendering = Rendering(
        score,
        title=read.marks.title or title_of(shown(file.stem)),
        is_given=None if names is None else (lambda track, note: track in names),
        arrangement=layout,
        chosen_key=chosen_key,
        with_chords=chords,
        marks=read.marks,
        form=read.form,
        sound=sounds,
        practice=practice,
    )
    (written,) = write_renderings({name: rendering}, forms, force=force)
    if not quiet:
        typer.echo(f"Key: {rendering.key_found}")
        if chords:
            from descant_tokenizers.rendering.chords import chord_lines

            typer.echo("\n".join(chord_lines(rendering.chords)))
        for path in written.paths:
            typer.echo(f"Wrote {path}")
        for remark in (*read.repairs, *written.remarks):
            typer.echo(f"Note: {remark}")
    for reason in written.left_out.values():
        typer.echo(f"Note: {reason}", err=True)


def _parse_tracks(text: str, tracks: list[str]) -> frozenset[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    found = {track.lower(): track for track in tracks}
    for name in names:
        if name.lower() not in found:
            raise InputError(f"There is no track '{name}'. The tracks are {', '.join(tracks)}.")
    return frozenset(found[name.lower()] for name in names)
