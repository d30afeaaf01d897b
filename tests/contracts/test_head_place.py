"""What every place keeps to that heads are published to: a folder, and a bucket over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.audit.head_bucket import HeadBucket
from adapters.audit.head_folder import HeadFolder
from domain.errors import DamagedDataError, EnvironmentTroubleError
from domain.ports.transparency import HeadPlace, KeptHead
from tests.doubles.bucket_server import BUCKET, BucketServer, bucket_server, use_bucket

ORIGIN, OTHER = "atesta/0a", "atesta/0b"
Place = Callable[[str], HeadPlace]


def head(size: int, note: str = "") -> KeptHead:
    return KeptHead(size=size, number=size, note=note or f"{ORIGIN}\n{size}\nroot\n\n— key signature\n")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketServer]:
    with bucket_server() as server:
        use_bucket(monkeypatch, server)
        yield server


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path, bucket: BucketServer) -> Place:
    if request.param == "folder":
        return lambda origin: HeadFolder(tmp_path, origin)
    return lambda origin: HeadBucket(f"s3://{BUCKET}/kept", origin)


def test_a_place_starts_empty_and_names_its_largest_head(place: Place) -> None:
    ours = place(ORIGIN)
    assert ours.newest() is None
    for size in (3, 200, 45):
        ours.publish(head(size))
    assert ours.newest() == head(200).note
    assert place(ORIGIN).newest() == head(200).note


def test_the_same_head_again_changes_nothing_and_another_of_its_size_is_refused(place: Place) -> None:
    ours = place(ORIGIN)
    ours.publish(head(7))
    ours.publish(head(7))
    with pytest.raises(DamagedDataError, match="two histories"):
        ours.publish(head(7, "another note"))
    assert ours.newest() == head(7).note


def test_two_logs_share_a_place(place: Place) -> None:
    place(OTHER).publish(head(900))
    assert place(ORIGIN).newest() is None


@pytest.mark.parametrize("status", [403, 404, 501])
def test_a_bucket_that_refuses_is_told_with_its_url_and_without_the_secret(bucket: BucketServer, status: int) -> None:
    bucket.refuses = status
    ours = HeadBucket(f"s3://{BUCKET}/kept", ORIGIN)
    for asked in (ours.newest, lambda: ours.publish(head(1))):
        with pytest.raises(EnvironmentTroubleError) as caught:
            asked()
        assert caught.value.where == f"s3://{BUCKET}/kept"
        assert "\n" not in caught.value.what
        assert "a secret" not in caught.value.what


def test_a_bucket_that_cannot_be_reached_is_told(bucket: BucketServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(EnvironmentTroubleError):
        HeadBucket(f"s3://{BUCKET}/kept", ORIGIN).newest()
    assert bucket.objects == {}
