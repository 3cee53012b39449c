"""What was ever stored stays readable; no shape changes in silence."""

import json
from pathlib import Path
from typing import Any

import pytest
from slipway.contracts.event import REGISTRY, UPCASTERS, Unknown, decode, encode
from slipway.contracts.streams import APPENDS

from tests.architecture import event_samples, event_shapes

RELEASED = json.loads(event_samples.RELEASED.read_text())
SAMPLES = [
    (file.stem, sample)
    for file in sorted(event_samples.GOLDEN.glob("*.v*.json"))
    for sample in event_samples.samples_of(file)
]
ANEW = "run `make api` and look at what changed"


def test_no_released_event_changed_its_shape():
    found = event_shapes.changes(RELEASED, event_shapes.document())
    refused = [str(change) for change in found if not change.allowed]
    assert refused == [], event_shapes.REMEDY


def test_no_released_sample_was_touched():
    now = event_samples.hashes()
    for file, released in RELEASED["samples"].items():
        assert set(released) <= set(now.get(file, ())), f"{file}.json: released samples stay"


def test_each_released_version_has_its_upcaster():
    for name, released in RELEASED["events"].items():
        for version in range(released["v"], REGISTRY[name].v):
            assert (name, version) in UPCASTERS, event_shapes.REMEDY


def test_the_schema_and_the_document_are_of_today():
    assert event_samples.SCHEMA.read_text() == event_samples.schema(), ANEW
    assert event_samples.DOCUMENT.read_text() == event_samples.document(), ANEW


@pytest.mark.parametrize(("file", "stored"), SAMPLES)
def test_every_version_ever_stored_is_read(file: str, stored: dict[str, Any]):
    assert file == f"{stored['t']}.v{stored['v']}"
    event = decode(stored)
    assert not isinstance(event, Unknown)
    if stored["v"] == event.v:
        assert event_shapes.within(encode(event)["d"], stored["d"]), "it is read as it was stored"


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_alternative_of_every_event_has_a_sample(name: str):
    cls = REGISTRY[name]
    samples = event_samples.samples_of(event_samples.path_of(cls))
    assert samples, ANEW
    assert event_samples.missing(cls, samples) == [], ANEW


def test_samples_show_each_alternative():
    trigger = event_samples.alternatives(REGISTRY["deployment.requested"])
    for kind in ("manual", "webhook", "rollback", "restart", "start"):
        assert f".trigger.kind={kind}" in trigger
    assert {".repeats:Repeats", ".repeats:NoneType", ".repeats.whole=False"} <= set(trigger)
    source = ".specification.settings.source"
    assert {f"{source}.kind=git", f"{source}.kind=image"} <= set(trigger)
    built = set(event_samples.alternatives(REGISTRY["build.succeeded"]))
    ports = ".workloads[].image.ports"
    assert {".workloads[0]", ".workloads[1]", f"{ports}[0]", f"{ports}[1]"} <= built


def test_only_missing_samples_are_added():
    cls = REGISTRY["deployment.stop_requested"]
    samples = event_samples.samples_of(event_samples.path_of(cls))
    of_reason = {sample["d"]["reason"]: sample for sample in samples}
    assert set(of_reason) == {"cancelled", "superseded", "expired"}
    lost = of_reason["expired"]
    added = event_samples.missing(cls, [s for s in samples if s is not lost])
    assert [sample["d"]["reason"] for sample in added] == ["expired"]


def test_every_event_has_a_writer_and_no_category_two():
    owned = [category for categories in APPENDS.values() for category in categories]
    assert len(owned) == len(set(owned))
    assert {name.split(".")[0] for name in REGISTRY} <= set(owned)


def test_a_release_refuses_what_it_may_not_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "released.json"
    former = event_shapes.document()
    former["events"]["token.revoked"]["properties"]["why"] = {"type": "string"}
    file.write_text(json.dumps(former))
    monkeypatch.setattr(event_samples, "RELEASED", file)
    for name in ("GOLDEN", "SCHEMA", "DOCUMENT"):  # a first release begins with new samples
        monkeypatch.setattr(event_samples, name, tmp_path / name)
    (tmp_path / "GOLDEN").mkdir()
    with pytest.raises(SystemExit):
        event_samples.release(first=False)
    assert "REFUSED: token.revoked.why: is gone" in capsys.readouterr().out
    assert json.loads(file.read_text()) == former
    event_samples.release(first=True)
    assert json.loads(file.read_text()) == released_now()


def released_now() -> dict[str, Any]:
    return {**event_shapes.document(), "samples": event_samples.hashes()}
