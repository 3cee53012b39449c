"""`.slipway/env`: read back as written, for its owner alone."""

from pathlib import Path

from slipway_install import state


def test_what_is_written_is_read(tmp_path: Path):
    file = tmp_path / "env"
    state.write(file, {"SLIPWAY_URL": "http://127.0.0.1:4000", "SLIPWAY_PASSWORD": "a=b#c"})
    assert state.read(file) == {"SLIPWAY_URL": "http://127.0.0.1:4000", "SLIPWAY_PASSWORD": "a=b#c"}


def test_only_its_owner_may_read_it(tmp_path: Path):
    file = tmp_path / "env"
    state.write(file, {"SLIPWAY_TOKEN": "t"})
    assert file.stat().st_mode & 0o777 == 0o600


def test_no_file_is_no_values(tmp_path: Path):
    assert state.read(tmp_path / "env") == {}


def test_comments_are_left_out(tmp_path: Path):
    file = tmp_path / "env"
    file.write_text("# by hand\nSLIPWAY_EMAIL = a@b.example\n\n")
    assert state.read(file) == {"SLIPWAY_EMAIL": "a@b.example"}
