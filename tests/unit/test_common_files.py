from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.common.files import atomic_write, examine_each, free_outputs, rendering_name


def test_a_file_appears_complete_under_its_name(tmp_path: Path) -> None:
    target = tmp_path / "tune.mid"
    with atomic_write(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".mid"
        temporary.write_bytes(b"music")
        assert not target.exists()
    assert target.read_bytes() == b"music"
    assert os.listdir(tmp_path) == ["tune.mid"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "tune.mid"
    target.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), atomic_write(target) as temporary:
        temporary.write_bytes(bytes(1 // len(temporary.read_bytes())))
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["tune.mid"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_the_file_gets_ordinary_permissions(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        with atomic_write(tmp_path / "tune.mid") as temporary:
            temporary.write_bytes(b"music")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "tune.mid").stat().st_mode) == 0o644


def test_the_last_missing_folder_is_created(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "out" / "tune.mid") as temporary:
        temporary.write_bytes(b"music")
    assert (tmp_path / "out" / "tune.mid").exists()


def test_a_missing_chain_of_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Cannot create the output folder"), atomic_write(tmp_path / "a/b/c.mid"):
        pass
    assert os.listdir(tmp_path) == []


def test_a_folder_is_no_file_to_write(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"), atomic_write(tmp_path):
        pass


def test_a_file_as_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="Cannot write"), atomic_write(tmp_path / "file" / "tune.mid"):
        pass


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="permission denied"), atomic_write(tmp_path / "tune.mid"):
            pass
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no space left"), atomic_write(tmp_path / "tune.mid"):
        raise OSError(28, "No space left on device")
    assert os.listdir(tmp_path) == []


def test_free_outputs_are_numbered(tmp_path: Path) -> None:
    requested = tmp_path / "tune.mid"
    assert free_outputs(requested, 1) == [requested]
    requested.write_bytes(b"")
    assert free_outputs(requested, 1) == [tmp_path / "tune-2.mid"]
    (tmp_path / "tune-2.svg").write_bytes(b"")
    assert free_outputs(requested, 2) == [tmp_path / "tune-3.mid", tmp_path / "tune-4.mid"]


def test_an_error_splits_into_the_problem_and_the_remedy() -> None:
    assert (
        InputError("Opus 3 no. 2.mid holds no notes. Choose another file.").problem == "Opus 3 no. 2.mid holds no notes"
    )
    assert InputError("The Hub is away (No. Try later.). Wait.").problem == "The Hub is away (No. Try later.)"
    assert InputError("song.mid is empty.").problem == "song.mid is empty"
    assert InputError("no period").problem == "no period"


def test_printable_keeps_one_line_of_text() -> None:
    assert printable("  Vio\x1b[31mlin\n\tII\0 ", 80) == "Vio [31mlin II"
    assert printable("é" * 10, 5) == "éééé…"


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_a_folder_has_no_rendering(name: str) -> None:
    with pytest.raises(InputError, match=r"is a folder\. Give the name of a file\.$"):
        rendering_name(Path(name), ["svg"], Path(name))


def test_an_error_is_one_line_that_a_terminal_does_not_obey() -> None:
    assert str(InputError("\x1b[31mred\n\0.mid\x85 is empty. Export it.")) == (
        "\ufffd[31mred\ufffd\ufffd.mid\ufffd is empty. Export it."
    )


def test_a_campaign_goes_on_where_it_stopped(tmp_path: Path) -> None:
    log, calls = tmp_path / "log.jsonl", []

    def examine(name: str) -> dict[str, int]:
        if name == "broken":
            raise ZeroDivisionError
        calls.append(name)
        return {"length": len(name)}

    with pytest.raises(ZeroDivisionError):
        examine_each(["b", "Été", "broken", "a"], examine, log, 1)
    assert examine_each(["b", "Été", "a"], examine, log, 0) == [
        {"name": "b", "length": 1},
        {"name": "Été", "length": 3},
    ]
    assert [each["name"] for each in examine_each(["a", "b"], examine, log, 1)] == ["a", "b"]
    assert calls == ["b", "Été", "a"]
    assert examine_each(["a"], examine, None, 1) == [{"name": "a", "length": 1}]
