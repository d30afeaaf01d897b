"""Every interleaving of a few backups, prunes, expiries, readers and kills: nothing that is needed is ever lost."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from tests.properties.prune_model import Backup, Chunks, Pack, Prune, Reader, Rules, World, walk

STATES_MIN = 500


def chunks(names: str) -> Chunks:
    return frozenset(names)


def world(
    *packs: str,
    points: dict[str, str],
    backups: dict[str, Backup] | None = None,
    readers: tuple[Reader, ...] = (),
    prunes: int = 1,
    may_expire: str = "",
    may_die: bool = True,
) -> World:
    """Packs by what they hold; a chunk has its place in the first one that holds it."""
    places: dict[str, int] = {}
    for number, names in enumerate(packs):
        for name in names:
            places.setdefault(name, number)
    return World(
        points=tuple((name, chunks(wanted)) for name, wanted in points.items()),
        packs=tuple(Pack(chunks(names)) for names in packs),
        places=tuple(sorted(places.items())),
        prune=Prune(prunes),
        backups=tuple((backups or {}).items()),
        readers=readers,
        may_expire=frozenset(may_expire.split()),
        may_die=may_die,
    )


WORLDS = {
    "a full backup that wants what is dead, two prunes, kills": world(
        "ab", "c", points={"p": "a"}, backups={"m": Backup(chunks("bc"))}, prunes=2
    ),
    "an incremental whose parent expires": world(
        "ab", points={"p": "a"}, backups={"m": Backup(chunks("ab"), parent="p")}, prunes=2, may_expire="p"
    ),
    "a reader whose point expires": world(
        "ab", "c", points={"p": "ac", "q": "b"}, readers=(Reader("p"),), prunes=2, may_expire="p"
    ),
    "two backups at once": world(
        "ab", points={"p": "a"}, backups={"m": Backup(chunks("b")), "n": Backup(chunks("ab"))}, prunes=1
    ),
    "a backup, a reader and an expiry": world(
        "ab",
        points={"p": "ab"},
        backups={"m": Backup(chunks("b"))},
        readers=(Reader("p"),),
        prunes=1,
        may_expire="p",
    ),
    "a chunk that is stored twice": world(
        "ab", "bc", points={"p": "a"}, backups={"m": Backup(chunks("bc"))}, prunes=2, may_expire="p", may_die=False
    ),
}


@pytest.mark.parametrize("name", WORLDS)
def test_no_interleaving_loses_anything(name: str) -> None:
    found = walk(WORLDS[name], Rules())

    assert (found.violation, found.path) == ("", ())
    assert found.states > STATES_MIN, "an empty walk shows nothing"


@pytest.mark.parametrize("rule", [field.name for field in fields(Rules)])
def test_every_rule_is_needed(rule: str) -> None:
    """Negative control: without the rule, some interleaving loses something, and the walk finds it."""
    without = replace(Rules(), **{rule: False})

    assert any(walk(one, without).violation for one in WORLDS.values())
