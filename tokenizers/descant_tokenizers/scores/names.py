"""Names of parts: the voices of a choir and the melody, in the larger European languages."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from descant_tokenizers.common.errors import InputError, printable

VOICES = ("Soprano", "Alto", "Tenor", "Bass")
"""Names of the four tracks of a four-part score, from high to low."""

NUM_VOICES = len(VOICES)

# Plain forms, as `plain_name` returns them: lower case, without accents.
_VOICE_NAMES: dict[str, tuple[str, ...]] = {
    "Soprano": (
        *("soprano", "sopran", "sopraan", "sopraano", "szopran", "sopr", "sop", "s", "сопрано", "σοπρανο"),
        *("sopranos", "soprani", "soprane", "sopranen", "soprany"),
    ),
    "Alto": (
        *("alto", "alt", "altto", "contralto", "kontraalt", "a", "альт", "αλτο"),
        *("altos", "alti", "alte", "alten", "alty", "contraltos", "contralti"),
    ),
    "Tenor": (
        *("tenor", "tenore", "tenori", "tenoor", "ten", "t", "тенор", "τενοροσ", "τενορο"),
        *("tenors", "tenores", "tenoren", "tenory"),
    ),
    "Bass": (
        *("bass", "basse", "basso", "bajo", "baixo", "bas", "basszus", "b", "бас", "μπασοσ", "μπασο"),
        *("basses", "bassi", "bajos", "baixos", "bassen", "basy"),
    ),
}
_VOICE_OF = {name: voice for voice, names in _VOICE_NAMES.items() for name in names}
_BARITONES = frozenset({"mezzo", "baritone", "bariton", "baryton", "baritono", "baritonas", "баритон"})

# Parts of words that mark a melody ("leadgitarre", "singstimme"), and words that do so only if they stand alone.
_MELODY_STEMS = (
    *("melod", "sopran", "sopraan", "szopran", "vocal", "vokal", "wokal", "voice", "singer", "gesang", "stimme"),
    *("chant", "cantus", "discant", "descant", "treble", "spiew", "dallam", "meloodia", "zang", "sangstemm", "solist"),
    *("cantante", "foszolam", "мелод", "сопрано", "вокал", "голос", "пение", "солист", "μελωδι", "φωνη"),
    *("σοπρανο",),
)
_MELODY_WORDS = (
    *("lead", "cantor", "kantor", "tune", "song", "lied", "weise", "voix", "dessus", "superius", "voz", "canto"),
    *("voce", "zang", "stem", "glos", "sang", "rost", "stamma", "stemme", "zpev", "hlas", "spev", "aani", "laulu"),
    *("enek", "hang", "veu", "glas", "pjev", "ses", "vox", "savelma", "cantec", "sarki", "ezgi"),
    *("спів", "песня", "пісня"),
)
_LEAD = re.compile(r"lead(?!er)")  # "Leadgitarre"
_BACKING = re.compile(
    r"back|\bbg[vd]|begleit|begeleid|acc?omp|a[ck]+omp|unterstimme|nebenstimme|mittelstimme|gegenstimme|tegenstem|"
    r"choir|chorus|choeur|koor\b|\bkor\b|\bch?or(o|os|i)?\b|kuoro|harmony|harmonies|armonia|doprovod|saesty|kiser|"
    r"second|segund|zweit|dritt|tweede|deuxieme|\bdruh|\bdrug|^2(nd|nda|[aode]|d[ae])?[. ]|"
    r"подголос|подпев|аккомп|втор|\bхор\b"
)


_PLAIN = str.maketrans({"ł": "l", "ø": "o", "ı": "i", "đ": "d", "æ": "ae", "œ": "oe"})

CHOIR = 52
_KEYBOARDS = 0, 6, 19
_PROGRAMS = {
    **dict.fromkeys(("piano", "klavier", "pianoforte", "fortepiano"), 0),
    **dict.fromkeys(("cembalo", "harpsichord", "clavecin", "clavicembalo"), 6),
    **dict.fromkeys(("organ", "orgel", "orgue", "organo", "continuo"), 19),
    **dict.fromkeys(("guitar", "gitarre", "guitare", "guitarra", "chitarra", "lute", "laute"), 24),
    **dict.fromkeys(("violin", "violine", "violino", "violon", "violins", "violini", "vln"), 40),
    **dict.fromkeys(("viola", "bratsche", "violas", "vla"), 41),
    **dict.fromkeys(("cello", "violoncello", "violoncelle", "vc"), 42),
    **dict.fromkeys(("contrabass", "kontrabass", "contrabasso", "contrebasse"), 43),
    **dict.fromkeys(("harp", "harfe", "harpe", "arpa"), 46),
    **dict.fromkeys(("trumpet", "trompete", "trompette", "tromba"), 56),
    **dict.fromkeys(("trombone", "posaune"), 57),
    "tuba": 58,
    **dict.fromkeys(("horn", "corno", "cor"), 60),
    **dict.fromkeys(("saxophone", "saxophon", "sax"), 65),
    **dict.fromkeys(("oboe", "hautbois"), 68),
    **dict.fromkeys(("bassoon", "fagott", "fagotto", "basson"), 70),
    **dict.fromkeys(("clarinet", "klarinette", "clarinetto", "clarinette"), 71),
    "piccolo": 72,
    **dict.fromkeys(("flute", "flote", "flauto"), 73),
    **dict.fromkeys(("recorder", "blockflote"), 74),
    **dict.fromkeys(
        ("voice", "vocal", "vocals", "voix", "voz", "voce", "gesang", "singstimme", "chant", "canto"), CHOIR
    ),
    **dict.fromkeys(("choir", "chor", "coro", "choeur", "chorus", "cantus"), CHOIR),
}
"""General MIDI programs by words in names of parts."""


def program_of_name(name: str) -> int:
    """Return the General MIDI program that suits the name of a part, 0 (piano) if it says nothing.

    >>> program_of_name("Violine I"), program_of_name("Soprano"), program_of_name("Part 1")
    (40, 52, 0)
    """
    words = re.findall(r"[^\W\d_]+", plain_name(name))
    if words == ["double", "bass"]:
        return _PROGRAMS["contrabass"]
    known = next((_PROGRAMS[word] for word in words if word in _PROGRAMS), None)
    if known is not None:
        return known
    return CHOIR if any(len(word) > 1 and word in _VOICE_OF for word in words) else 0


def plain_name(name: str) -> str:
    """Return a name in lower case, without accents and surrounding space: `Mélodie ` is `melodie`."""
    letters = unicodedata.normalize("NFKD", name.casefold().translate(_PLAIN))
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).strip()


def is_melody_name(name: str) -> bool:
    """Return True if a track's name marks it as the melody: melody, soprano, vocal, Gesang, voix, voz, голос, ..."""
    plain = plain_name(name)
    words = re.findall(r"[^\W\d_]+", plain)
    if words in (["solo"], ["main"]) or any(stem in plain for stem in _MELODY_STEMS):
        return True
    return any(word in _MELODY_WORDS or _LEAD.match(word) for word in words)


def is_singer_name(name: str) -> bool:
    """Return True if a name has a word for a singer in it: Contralto, Ténor 2, Baritone. A bass may be a guitar.

    >>> is_singer_name("2nd Tenor"), is_singer_name("Tenor sax"), is_singer_name("T"), is_singer_name("Bass")
    (True, False, False, False)
    """
    words = [word for word in re.findall(r"[^\W\d_]+", plain_name(name)) if len(word) > 1]
    is_voice = any(_VOICE_OF.get(word, "Bass") != "Bass" or word in _BARITONES for word in words)
    return is_voice and _PROGRAMS.keys().isdisjoint(words)


def is_keyboard_name(name: str) -> bool:
    """Return True if a name has a word for a keyboard instrument in it: Piano, Klavier, Orgue, continuo."""
    return any(_PROGRAMS.get(word) in _KEYBOARDS for word in re.findall(r"[^\W\d_]+", plain_name(name)))


def is_backing_name(name: str) -> bool:
    """Return True if a name says that a track accompanies: backing vocals, Begleitung, choir."""
    return _BACKING.search(plain_name(name)) is not None


def voice_of_name(name: str) -> str | None:
    """Return the voice that a track name denotes, None if it denotes none.

    A voice is denoted by its name in any of the languages, its abbreviation or its initial, in any case:
    Soprano, Sopran, S.
    """
    return _VOICE_OF.get(plain_name(name).removesuffix("."))


def voice_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return voices given by name or initial, from high to low, each once.

    Raises:
        InputError: A name is not a voice, or there is none.
    """
    found = {voice_of_name(name): name for name in names}
    if None in found or not found:
        wrong = printable(found.get(None, ""), 40)
        raise InputError(f"Unknown voice '{wrong}'. Give one or more of {', '.join(VOICES).lower()}.")
    return tuple(voice for voice in VOICES if voice in found)
