"""Files are written as a whole or not at all."""

import os
from pathlib import Path

import pytest
from maskr.errors import FormatError
from maskr.files import atomically, remove_leftovers


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "a b.txt"
    path.write_text("old")
    atomically(str(path), lambda part: Path(part).write_text("new"))
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a b.txt"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("x")])
def test_a_failure_leaves_the_old_file_alone(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(part):
        Path(part).write_text("half")
        raise error

    with pytest.raises(FormatError if isinstance(error, OSError) else ValueError):
        atomically(str(path), fail)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_the_mode_is_that_of_any_new_file(tmp_path):
    def replace(part):
        Path(part).unlink()
        Path(part).touch(mode=0o600)

    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    atomically(str(tmp_path / "a.txt"), replace)
    assert (tmp_path / "a.txt").stat().st_mode == ordinary.stat().st_mode


def test_leftovers_of_a_killed_process_are_removed_and_nothing_else(tmp_path, monkeypatch):
    class KilledError(Exception):
        """Stands for a process's end, which cleans up nothing."""

    def die(part):
        Path(part).touch()
        raise KilledError

    path = tmp_path / "a[1].nii.gz"
    with monkeypatch.context() as killed, pytest.raises(KilledError):
        killed.setattr(os, "unlink", lambda path: None)
        atomically(str(path), die)
    assert len(list(tmp_path.iterdir())) == 1
    others = {"a[1].nii.gz", ".a[1].nii-x.gz", ".a1.nii-12345678.nii.gz"}
    for name in others:
        (tmp_path / name).touch()
    remove_leftovers(str(path))
    assert {p.name for p in tmp_path.iterdir()} == others
