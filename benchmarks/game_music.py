"""Collect General MIDI files with drums from an outside source: the music of three free games in Debian.

    apt-get download openttd-openmsx planetblupi-music-midi freedoom
    for package in *.deb; do dpkg-deb -x $package debian; done
    python benchmarks/game_music.py debian game-music        # 108 files; if the packages are installed, give /

OpenMSX is under the GPL 2, Planet Blupi under the GPL 3, Freedoom under a BSD licence. Their files are not kept here.
"""

from __future__ import annotations

import argparse
import shutil
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

MIDI_FOLDERS = {
    "openmsx": "usr/share/games/openttd/baseset/openmsx",
    "blupi": "usr/share/planetblupi/music",
}
WADS = {f"freedoom{number}": f"usr/share/games/doom/freedoom{number}.wad" for number in (1, 2)}

_WAD_HEAD = struct.Struct("<4sII")  # magic, number of entries, offset of their directory
_WAD_ENTRY = struct.Struct("<II8s")  # offset of an entry, its size, its name
_MUSIC, _MIDI = "D_", b"MThd"


def main() -> None:
    """Copy the files that are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder of the unpacked packages")
    parser.add_argument("out", type=Path, help="new folder for the music")
    options = parser.parse_args()
    options.out.mkdir(parents=True)
    for name, place in MIDI_FOLDERS.items():
        for path in sorted((options.root / place).glob("*.mid")):
            (options.out / name).mkdir(exist_ok=True)
            shutil.copyfile(path, options.out / name / path.name)
    for name, place in WADS.items():
        if (options.root / place).is_file():
            (options.out / name).mkdir()
            for title, data in wad_music((options.root / place).read_bytes()):
                (options.out / name / f"{title}.mid").write_bytes(data)
    num_files = sum(1 for _ in options.out.rglob("*.mid"))
    if not num_files:
        sys.exit(f"error: {options.root} holds none of the packages' files. Unpack them there first.")
    print(f"{num_files} files in {options.out}")


def wad_music(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of the MIDI files in a WAD, the archive of Doom."""
    _, num_entries, start = _WAD_HEAD.unpack_from(data)
    for number in range(num_entries):
        begin, size, raw_name = _WAD_ENTRY.unpack_from(data, start + number * _WAD_ENTRY.size)
        name = raw_name.rstrip(b"\0").decode("ascii")
        if name.startswith(_MUSIC) and data[begin : begin + len(_MIDI)] == _MIDI:
            yield name.lower(), data[begin : begin + size]


if __name__ == "__main__":
    main()
