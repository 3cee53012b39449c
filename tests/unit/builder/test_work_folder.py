"""What a builder that died has left of its builds."""

from pathlib import Path

from builder.app import clear


def test_only_the_marks_outlive_their_builds(tmp_path: Path):
    for name in ("marks", "a-deployment/source", "another/client"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text("x")
    clear(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["marks"]
    assert (tmp_path / "marks/file").exists()
    clear(tmp_path / "none")
