"""One tune, line by line: its fields, its directives and its music code, into voices."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores.abc import fields as values
from descant_tokenizers.scores.abc import tokens
from descant_tokenizers.scores.abc.fields import Key, Meter, VoiceSettings
from descant_tokenizers.scores.abc.lyrics import sing
from descant_tokenizers.scores.abc.music import MusicReader
from descant_tokenizers.scores.abc.text import Report, Tune, is_music, music_lines, plain, without_comment
from descant_tokenizers.scores.abc.voices import Voice
from descant_tokenizers.scores.marks import Metronome
from descant_tokenizers.scores.validation import Limits

_FIELD = re.compile(r"([A-Za-z]):(.*)", re.DOTALL)
_BODY_FIELDS = "IKLMNOPQRSTUVWXZHmrsw"
_VOICE_ID = re.compile(r"\s*(\S+)\s*")
_MAX_VOICES = 64
_MAX_MACROS = 32
_MAX_TEXT = 120
_DEFAULT_VOICE = "1"
_UNREADABLE = "unreadable fields"


@dataclass
class Parsed:
    """A tune in voices, in the order of the file.

    Attributes:
        voices: The voices by id.
        staves: Ids in the order of `%%score` or `%%staves`; empty without one.
        keys: Key signatures: sharps and tonality (1 for minor) by time.
        tempos: Metronome marks by time.
        mode: Mode of the key in the header.
        part_order: Letters of the parts as they are played.
        info: Strings of the fields of the header, by letter.
        report: What is left out.
    """

    voices: dict[str, Voice] = field(default_factory=dict)
    staves: list[str] = field(default_factory=list)
    keys: dict[Fraction, tuple[int, int]] = field(default_factory=dict)
    tempos: dict[Fraction, Metronome] = field(default_factory=dict)
    mode: str = ""
    part_order: str = ""
    info: dict[str, list[str]] = field(default_factory=dict)
    report: Report = field(default_factory=Report)


class TuneParser(MusicReader):
    """Reads one tune; `parse` is its only use."""

    def __init__(self, path: Path, tune: Tune, limits: Limits) -> None:
        super().__init__(path, limits)
        self._tune = tune
        self._result = Parsed(report=self._report)
        self._in_header = True
        self._has_key = any(line.startswith("K:") for _, line in tune.lines)
        self._has_ended = False
        self._meter: Meter | None = None
        self._unit: Fraction | None = None
        self._tempo_text: str | None = None
        self._key = Key()
        self._propagation = "pitch"
        self._voice: Voice | None = None

    def parse(self) -> Parsed:
        """Read the tune.

        Raises:
            InputError: It is beyond a limit.
        """
        for number, line in music_lines(self._tune):
            self._line = number
            self._read(line)
        if self._in_header:
            self._end_header()
        for voice in self._result.voices.values():
            voice.finish()
            self._report.dropped["grace note{s} without a note"] += len(voice.waiting_graces)
            self._report.dropped["slur{s} without an end"] += voice.num_open_slurs
            self._report.dropped["slur{s} without a beginning"] += voice.num_ends
        return self._result

    # Lines

    def _read(self, line: str) -> None:
        if line.startswith("%%"):
            self._directive(line[2:])
            return
        text = without_comment(line)
        if not text.strip():
            if not line.strip() and self._num_events:
                self._has_ended = True  # an empty line ends a tune; a comment line does not
            return
        if self._has_ended and is_music(text):
            self._has_ended = False
            self._report.fault("empty lines inside the tune", self._line, text)
        match = _FIELD.match(text)
        is_field = match is not None and (self._in_header or match[1] in _BODY_FIELDS)
        if self._has_ended and not (match is not None and match[1] in "Ww"):
            self._report.fault("lines after the empty line that ends the tune", self._line, text)
        elif match is not None and is_field:
            self._field(match[1], match[2])
        else:
            if self._in_header and self._has_key:
                self._report.fault("lines of the header that are no fields", self._line, text)
                return
            if self._in_header:
                self._end_header()
            self._music(text)

    def _field(self, letter: str, text: str) -> None:
        if letter == "w":
            self._sing(text)
        elif letter in "ABCDFGHNORSTWZX":
            self._information(letter, text)
        elif letter == "s":
            self._report.dropped["symbol line{s}"] += 1
        else:
            self._setting(letter, text)

    def _information(self, letter: str, text: str) -> None:
        value = plain(text.strip())
        if letter == "W":
            self._report.dropped["line{s} of words after the tune"] += 1
        elif letter == "T" and not self._in_header and self._voice is not None:
            self._voice.put_words(printable(value, _MAX_TEXT))
        elif self._in_header and value:
            self._result.info.setdefault(letter, []).append(value)

    def _setting(self, letter: str, text: str) -> None:
        """Take a field that sets something, on a line of its own or inline."""
        takers: dict[str, Callable[[str], None]] = {
            **{"K": self._set_key, "M": self._set_meter, "L": self._set_length, "Q": self._set_tempo},
            **{"V": self._set_voice, "P": self._set_part, "U": self._set_letter, "m": self._set_macro},
            "I": self._directive,
        }
        if letter not in takers:
            return  # remarks and what the standard reserves
        try:
            takers[letter](text)
        except InputError:
            raise
        except ValueError:
            self._report.fault(_UNREADABLE, self._line, f"{letter}:{text.strip()}")

    def _directive(self, text: str) -> None:
        name, _, value = text.strip().partition(" ")
        name, equals, setting = name.partition("=")
        value = setting if equals else value.strip()
        if name.upper() == "MIDI":
            self._report.dropped["%%MIDI line{s}"] += 1
        elif name in ("score", "staves"):
            self._result.staves = re.findall(r"[^\s()\[\]{}|*]+", without_comment(value))
        elif name == "propagate-accidentals" and value in ("not", "octave", "pitch"):
            self._propagation = value
            for voice in self._result.voices.values():
                voice.propagation = value
        elif name == "linebreak":
            self._has_bang_breaks = "!" in value
        elif name == "abc-copyright":
            self._result.info.setdefault("copyright", []).append(plain(value))
        elif name == "abc-include":
            self._report.dropped["included file{s}"] += 1

    # Fields

    def _end_header(self) -> None:
        self._in_header = False
        if self._unit is None:
            self._unit = values.default_length(self._meter)
        for voice in self._result.voices.values():
            voice.meter, voice.unit, voice.key = self._meter, self._unit, self._key
            voice.settings = _merged(self._key.settings, voice.settings)
        self._result.mode = self._key.mode
        self._note_key(self._key, Fraction(0), self._key.settings.transpose or 0)
        if self._tempo_text is not None:
            text, self._tempo_text = self._tempo_text, None
            self._setting("Q", text)

    def _current(self) -> Voice:
        if self._voice is None:
            known = next(iter(self._result.voices), _DEFAULT_VOICE)
            self._voice = self._voice_of(known)
        return self._voice

    def _voice_of(self, name: str) -> Voice:
        voices = self._result.voices
        if name not in voices:
            if len(voices) >= _MAX_VOICES:
                raise InputError(f"{self._path} has more than {_MAX_VOICES} voices. Split it into shorter files.")
            unit = self._unit or Fraction(1, 2)
            own = VoiceSettings() if self._in_header else self._key.settings
            voices[name] = Voice(name, self._meter, unit, self._key, own, self._propagation)
        return voices[name]

    def _set_voice(self, text: str) -> None:
        match = _VOICE_ID.match(text)
        if match is None:
            raise ValueError(text)
        voice = self._voice_of(match[1])
        if not self._in_header:
            self._voice = voice
        voice.settings = _merged(voice.settings, values.parse_voice(text[match.end() :]))

    def _set_key(self, text: str) -> None:
        if self._in_header:
            try:
                self._key = values.parse_key(text.strip())
            finally:
                self._end_header()
            return
        key = values.parse_key(text.strip())
        voice = self._current()
        voice.settings = _merged(voice.settings, key.settings)
        if key.has_tonic:
            voice.key = key
            self._note_key(key, voice.time, voice.settings.transpose or 0)

    def _note_key(self, key: Key, time: Fraction, transpose: int) -> None:
        ends_signature = not key.alterations and bool(self._result.keys)  # `K:none`
        own = 0 if key.sharps is None and ends_signature else key.sharps
        if own is not None:
            sharps = own if not transpose else (own + 7 * transpose + 5) % 12 - 5
            self._result.keys.setdefault(time, (sharps, int(key.is_minor)))

    def _set_meter(self, text: str) -> None:
        try:
            meter = values.parse_meter(text)
        except OverflowError as error:
            raise InputError(
                f"{self._path} has a time signature with the number {error.args[0]:,} in line {self._line}. Correct it."
            ) from error
        if self._in_header:
            self._meter = meter
        elif (voice := self._current()).meter != meter:
            voice.close_measure()
            voice.meter = meter

    def _set_length(self, text: str) -> None:
        length = values.parse_length(text)
        if self._in_header:
            self._unit = length
        else:
            self._current().unit = length

    def _set_tempo(self, text: str) -> None:
        if self._in_header:
            self._tempo_text = text
            return
        voice = self._current()
        beat, rate, words = values.parse_tempo(text, voice.unit)
        if rate:
            self._result.tempos.setdefault(voice.time, Metronome(voice.time, beat, rate))
        if words:
            voice.put_words(printable(plain(words), _MAX_TEXT), kind="tempo")

    def _set_part(self, text: str) -> None:
        if not self._in_header:
            label = plain(text.strip())
            voice = self._current()
            voice.close_measure()
            voice.sign("part", label=label[:1])
            voice.put_words(printable(label, _MAX_TEXT), kind="rehearsal")
            return
        try:
            self._result.part_order = values.parse_parts(text)
        except OverflowError as error:
            raise InputError(
                f"{self._path} plays over 2,000 parts (P: in line {self._line}). Shorten the order of its parts."
            ) from error

    def _set_letter(self, text: str) -> None:
        found = tokens.redefinition(text)
        if found is None:
            raise ValueError(text)
        self._letters[found[0]] = found[1]

    def _set_macro(self, text: str) -> None:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name or len(self._macros) >= _MAX_MACROS:
            raise ValueError(text)
        self._macros[name] = value

    def _sing(self, text: str) -> None:
        if lost := sing(self._current(), text):
            self._report.dropped["syllable{s} without a note"] += lost


def _merged(before: VoiceSettings, after: VoiceSettings) -> VoiceSettings:
    """Return settings where those given later take precedence."""
    given = {each.name: getattr(after, each.name) for each in fields(after) if getattr(after, each.name) is not None}
    return replace(before, **given)
