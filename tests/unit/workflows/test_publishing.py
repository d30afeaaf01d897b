"""Publishing heads: each newer one in order, going on where it was cut off, never beside a rewritten history."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.audit.head_folder import HeadFolder
from adapters.audit.tree_file import TreeFile
from domain.content.signed_note import SigningKey
from domain.errors import DamagedDataError
from domain.ports.transparency import KeptHead
from domain.workflows.publishing import head_mails, publish_heads
from domain.workflows.sealing import seal
from tests.doubles.sealed_history import START
from tests.unit.audit.test_tree_file import Rows, a_row

ORIGIN = f"atesta/{'5' * 32}"
KEY = SigningKey(ORIGIN, b"k" * 32)
KEYS = [KEY.verifier]


class World:
    """A log that grows by an event and a head at a time, and a folder."""

    def __init__(self, folder: Path) -> None:
        self.rows = Rows(1)
        self.tree = TreeFile(folder / "tree", self.rows)
        self.place = HeadFolder(folder / "share", ORIGIN)
        (folder / "share").mkdir()
        self.share = folder / "share"

    def grow(self) -> KeptHead:
        self.rows.rows.append(a_row(self.rows.last_number() + 1))
        return seal(self.tree, KEY)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.share.iterdir())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_without_a_head_nothing_is_published(world: World) -> None:
    assert publish_heads(world.tree, KEYS, world.place) == 0


def test_the_first_time_only_the_newest_is_published_and_then_each(world: World) -> None:
    for _ in range(3):
        world.grow()
    assert publish_heads(world.tree, KEYS, world.place) == 1
    heads = [world.grow() for _ in range(2)]
    assert publish_heads(world.tree, KEYS, world.place) == len(heads)
    assert world.place.newest() == heads[-1].note
    assert publish_heads(world.tree, KEYS, world.place) == 0
    assert [int(name.partition("-")[2].partition("-")[2][:12]) for name in world.names()] == [4, 5, 6]


@pytest.mark.parametrize("after", [0, 1, 2])
def test_cut_off_after_some_it_goes_on_with_the_others(
    world: World, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.grow()
    publish_heads(world.tree, KEYS, world.place)
    for _ in range(3):
        world.grow()
    original, done = world.place.publish, iter(range(after))

    def cut(head: KeptHead) -> None:
        if next(done, None) is None:
            raise KeyboardInterrupt
        original(head)

    with monkeypatch.context() as patch:
        patch.setattr(world.place, "publish", cut)
        with pytest.raises(KeyboardInterrupt):
            publish_heads(world.tree, KEYS, world.place)
    assert len(world.names()) == 1 + after
    assert publish_heads(world.tree, KEYS, world.place) == 3 - after


def test_another_repository_in_the_folder_is_left_alone(world: World) -> None:
    (world.share / f"atesta-{'6' * 32}-000000000099.head").write_text("theirs")
    (world.share / "notes.txt").write_text("mine")
    world.grow()
    assert publish_heads(world.tree, KEYS, world.place) == 1
    assert len(world.names()) == 3


@pytest.mark.parametrize("content", ["", "nonsense", None])
def test_a_newest_head_that_the_log_does_not_extend_is_told(world: World, content: str | None) -> None:
    world.grow()
    forged = SigningKey(ORIGIN, b"o" * 32).sign_text(f"{ORIGIN}\n99\nA\n") if content is None else content
    (world.share / f"atesta-{'5' * 32}-000000000099.head").write_text(forged)
    before = world.names()
    with pytest.raises(DamagedDataError, match="does not extend"):
        publish_heads(world.tree, KEYS, world.place)
    assert world.names() == before


def test_a_mail_with_a_head_is_one_for_each_address_and_says_all_in_its_text(world: World) -> None:
    head = world.grow()
    mails = head_mails(
        head, repository_name="<b>\nr", sender="a@localhost", recipients=("x@y.org", "x@y.org", "z@y.org"), at=START
    )
    assert [mail.recipient for mail in mails] == ["x@y.org", "z@y.org"]
    assert len({mail.key for mail in mails}) == len(mails)
    assert all(mail.text.endswith(head.note) and "<b>" not in mail.html for mail in mails)
