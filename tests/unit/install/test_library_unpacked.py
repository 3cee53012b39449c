"""The registry's library is unpacked beside a registry that may be collecting."""

import os
import tarfile
import time
from pathlib import Path

import pytest
from slipway.contracts.registry import COLLECTS, FILLED, FILLS, LIBRARY
from slipway_install import library
from slipway_install.errors import InstallError


class Clock:
    """`meanwhile`: what happens while somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.meanwhile = time.time(), list[str]()

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        volume = library.VOLUME
        self.meanwhile.append((volume / LIBRARY).read_text())
        assert not (volume / "docker/registry/v2/blobs").exists()
        if len(self.meanwhile) == 3:
            (volume / COLLECTS).unlink()


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock, volume = Clock(), tmp_path / "registry"
    for folder in (volume, tmp_path / "library", tmp_path / "blobs"):
        folder.mkdir()
    with tarfile.open(tmp_path / "library/library-1.tar", "w") as archive:
        archive.add(tmp_path / "blobs", "blobs")
    monkeypatch.setattr(library, "VOLUME", volume)
    monkeypatch.setattr(library, "ARCHIVES", tmp_path / "library")
    monkeypatch.setattr(library, "_STORE", volume / "docker/registry/v2")
    monkeypatch.setattr(library, "time", clock)
    return clock


def unpacked() -> bool:
    done = (library.VOLUME / "docker/registry/v2/blobs").exists()
    return done and (library.VOLUME / LIBRARY).read_text() == FILLED


def test_it_is_unpacked_once(clock: Clock):
    assert library.ensure() == "unpacked"
    assert unpacked()
    assert library.ensure() == ""
    assert clock.meanwhile == []


def test_it_says_so_and_waits_for_a_collection_to_end(clock: Clock):
    (library.VOLUME / COLLECTS).touch()
    assert library.ensure() == "unpacked"
    assert unpacked()
    assert clock.meanwhile == [FILLS] * 3


def test_it_does_not_wait_for_a_builder_that_died_over_one(clock: Clock):
    mark = library.VOLUME / COLLECTS
    mark.touch()
    os.utime(mark, (0, clock.now - 901))
    assert library.ensure() == "unpacked"
    assert clock.meanwhile == []


def test_what_takes_long_is_said_again(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(library, "_EVERY", 0.05)
    programs = library.VOLUME.parent / "bin"
    programs.mkdir()
    (programs / "tar").write_text("#!/bin/sh\nsleep 0.3\nexit 0\n")
    (programs / "tar").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    touched = list[Path]()
    touch = Path.touch

    def touching(path: Path) -> None:
        touched.append(path)
        touch(path)

    monkeypatch.setattr(Path, "touch", touching)
    library.ensure()
    assert touched.count(library.VOLUME / LIBRARY) > 1


def test_what_can_not_be_unpacked_is_told(clock: Clock):
    next(library.ARCHIVES.glob("*.tar")).write_text("no archive")
    with pytest.raises(InstallError) as told:
        library.ensure()
    assert "tar" in "".join(told.value.evidence)
    assert (library.VOLUME / LIBRARY).read_text() == FILLS
