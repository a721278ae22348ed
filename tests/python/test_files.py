"""Files are written as a whole or not at all."""

from pathlib import Path

import pytest
from maskr.errors import FormatError
from maskr.files import atomically


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
