"""Random scores in MusicXML: parts of one or two staves with most of what a reader keeps."""

from __future__ import annotations

import random
from collections.abc import Iterator

from musicxml_scores import xml

QUARTER = 12  # divisions
_LENGTHS = (3, 6, 9, 12, 18, 24, 36, 48)
_STEPS = "CDEFGAB"


def random_score(seed: int) -> bytes:
    """Return a score of one or two parts and up to four measures."""
    rng = random.Random(seed)
    num_beats, num_measures = rng.randint(2, 4), rng.randint(1, 4)
    parts = [_Part(rng, num_beats, rng.randint(1, 2)) for _ in range(rng.randint(1, 2))]
    jumps = [rng.choice(("", "", "", '<barline location="right"><repeat direction="backward"/></barline>'))]
    jumps += ["" for _ in range(num_measures - 1)]
    rng.shuffle(jumps)
    return xml(*([part.measure() + jump for jump in jumps] for part in parts))


class _Part:
    def __init__(self, rng: random.Random, num_beats: int, num_staves: int) -> None:
        self._rng, self._num_staves = rng, num_staves
        self._length = num_beats * QUARTER
        self._slurs: set[int] = set()
        self._ties: dict[int, tuple[str, int]] = {}
        self._in_hairpin = False
        self._head = (
            f"<attributes><divisions>{QUARTER}</divisions><time><beats>{num_beats}</beats><beat-type>4</beat-type>"
            f"</time><staves>{num_staves}</staves></attributes>"
        )

    def measure(self) -> str:
        """Write the next measure."""
        voices = [
            (staff, voice) for staff in range(1, self._num_staves + 1) for voice in range(self._rng.randint(1, 2))
        ]
        back = f"<backup><duration>{self._length}</duration></backup>"
        head, self._head = self._head, ""
        return head + back.join("".join(self._voice(*each)) for each in voices)

    def _voice(self, staff: int, voice: int) -> Iterator[str]:
        left = self._length
        while left:
            is_triplet = left % QUARTER == 0 and self._rng.random() < 0.1
            length = self._rng.choice([length for length in _LENGTHS if length <= left])
            for each in (4, 4, 4) if is_triplet else (length,):
                left -= each
                yield from self._event(staff, 4 * staff + voice, each)

    def _event(self, staff: int, voice: int, length: int) -> Iterator[str]:
        rng, place = self._rng, f"<voice>{voice}</voice>"
        on = f"<staff>{staff}</staff>"
        if rng.random() < 0.1:
            self._ties.pop(voice, None)
            yield f"<note><rest/><duration>{length}</duration>{place}{on}</note>"
            return
        yield from self._directions(on)
        for _ in range(rng.choice((0,) * 14 + (1, 2))):
            pitch = f"<pitch><step>{rng.choice(_STEPS)}</step><octave>{6 - staff}</octave></pitch>"
            yield f"<note><grace/>{pitch}{place}<type>eighth</type>{on}{_notations(self._slur())}</note>"
        before = self._ties.pop(voice, None)
        step, octave = before or (rng.choice(_STEPS), 6 - staff + (voice % 4 == 0))
        ties = '<tie type="stop"/>' * (before is not None)
        if before is None and rng.random() < 0.1:
            self._ties[voice] = step, octave
            ties = '<tie type="start"/>'
        marks = "".join(
            mark
            for mark in (
                *("<articulations><staccato/></articulations>", "<ornaments><trill-mark/></ornaments>", "<fermata/>"),
            )
            if rng.random() < 0.05
        )
        words = "<lyric><syllabic>single</syllabic><text>la</text></lyric>" * (rng.random() < 0.1)
        more = f"<duration>{length}</duration>{ties}{place}{on}"
        pitch = f"<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
        yield f"<note>{pitch}{more}{_notations(self._slur() + marks)}{words}</note>"
        if rng.random() < 0.15 and not ties:
            other = rng.choice([each for each in _STEPS if each != step])
            yield f"<note><chord/><pitch><step>{other}</step><octave>{octave}</octave></pitch>{more}</note>"

    def _directions(self, on: str) -> Iterator[str]:
        rng = self._rng
        kinds = []
        if rng.random() < (0.3 if self._in_hairpin else 0.05):
            kinds.append(f'<wedge type="{"stop" if self._in_hairpin else rng.choice(("crescendo", "diminuendo"))}"/>')
            self._in_hairpin = not self._in_hairpin
        kinds += [each for each in ("<words>dolce</words>", "<dynamics><p/></dynamics>") if rng.random() < 0.05]
        for kind in kinds:
            yield f"<direction><direction-type>{kind}</direction-type>{on}</direction>"

    def _slur(self) -> str:
        """Write the ends of some open slurs, and perhaps the beginning of another."""
        ends = [number for number in sorted(self._slurs) if self._rng.random() < 0.35]
        self._slurs -= set(ends)
        text = "".join(f'<slur type="stop" number="{number}"/>' for number in ends)
        if self._rng.random() < 0.2 and len(self._slurs) < 3:
            number = min({1, 2, 3} - self._slurs)
            self._slurs.add(number)
            text += f'<slur type="start" number="{number}"/>'
        return text


def _notations(text: str) -> str:
    return f"<notations>{text}</notations>" if text else ""
