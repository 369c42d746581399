"""How many tokens a stream needs until it may end: what is begun is finished, and every note of MIDI-Like ended.

Numbers are those of a short way to the end, not always the shortest one; some legal token always shortens it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from descant_tokenizers.tokens.grammar import NEVER
from descant_tokenizers.tokens.miditok_stream import BEGIN, END, State, Stream

Counts = npt.NDArray[np.int64]


class Ending:
    """Tokens until the end of a stream.

    Args:
        stream: The meaning of the base tokens.
        after: For each type, the types that may follow.
    """

    def __init__(self, stream: Stream, after: Mapping[str, set[str]]) -> None:
        self._stream = stream
        self._has_ends = "NoteOff" in stream.kinds
        self._begin_length = 1 + stream.has_programs + stream.has_velocities  # tokens until a note has begun
        self._end_length = 1 + stream.has_programs
        distances = _distances(after, stream.complete)
        distances["Rest"] = distances.get("Rest", 0) + 2  # perhaps too late for a position in this bar
        self._distances = np.array([distances.get(kind, 0) for kind in stream.kinds])
        self._most = int(self._distances[self._distances < NEVER].max()) + 2
        self._ids = {kind: stream.of_kind(kind) for kind in ("TimeShift", "Program", "Velocity", "Chord")}
        self._begins, self._ends = stream.of_kind(*BEGIN), stream.of_kind(*END)

    def may_end(self, state: State) -> bool:
        """Return True if the stream may end here."""
        if not state.has_notes or state.kind not in (self._stream.complete, *END):
            return False
        return not self._has_ends or _num_held(state) == 0

    def needed_after(self, state: State) -> Counts:
        """Return, for each base id, the number of tokens from there to a place where the stream may end."""
        if not self._has_ends:
            return self._distances
        held, begin, end = _num_held(state), self._begin_length, self._end_length
        is_new = any(span.begin == state.tick for span in state.sounding.values())
        one_more = begin + 1 + end * (held + 1)  # another note, and all of them ended
        needed = np.full(self._stream.size, 1 + end * held if held else one_more)
        needed[self._ids["TimeShift"]] = end * held if held else one_more
        needed[self._ids["Chord"]] = one_more
        needed[self._begins] = self._stream.has_velocities + 1 + end * (held + 1)
        needed[self._ids["Velocity"]] = 1 + end * held
        needed[self._ends] = end * (held - 1) + (is_new and held > 1)
        ending = {key.program for key, span in state.sounding.items() if span.end == NEVER and span.begin < state.tick}
        is_ending = np.isin(self._stream.numbers, list(ending))
        needed[self._ids["Program"]] = one_more - 1
        needed[self._ids["Program"] & is_ending] = 1 + end * (held - 1) + is_new
        return needed

    def at_most_after(self, state: State, num_begins: Counts) -> Counts:
        """Return a bound of the number of tokens needed after runs of tokens that begin some notes."""
        if not self._has_ends:
            return np.full(num_begins.size, self._most)
        return self._end_length * (_num_held(state) + num_begins + 1) + self._begin_length + 2


def _num_held(state: State) -> int:
    return sum(span.end == NEVER for span in state.sounding.values())


def _distances(after: Mapping[str, set[str]], target: str) -> dict[str, int]:
    """Return the number of tokens from each type to a target; `NEVER` if there is no way."""
    distances = dict.fromkeys(after, NEVER) | {target: 0}
    for _ in after:
        for kind, types in after.items():
            distances[kind] = min([distances[kind], *(distances.get(own, NEVER) + 1 for own in types)])
    return distances
