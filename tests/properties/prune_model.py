"""A small model of backups, prunes, expiry and readers over one repository, walked through every interleaving.

Each step of the model is one that the real code makes durable or one look at the history, the index or a lock. What is
left out cannot matter: sizes, maps (a map node is a chunk like any other), compression. Backups and prunes may be
killed between any two steps. ``Rules`` switches one rule off at a time: the walk must then find a violation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

Chunks = frozenset[str]
NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Rules:
    """The rules of docs/prune.md by name. That parents of open runs are live is none of them: it only saves work."""

    hide_retired: bool = True
    keep_places_until_deleted: bool = True
    wait_for_older_runs: bool = True
    look_at_new_points: bool = True
    read_history_under_lock: bool = True
    read_points_are_live: bool = True
    move_before_deleting: bool = True
    reinstate_only_what_is_stored: bool = True
    backup_looks_after_its_start: bool = True
    parent_checked_after_start: bool = True
    reader_checks_after_lock: bool = True


@dataclass(frozen=True)
class Pack:
    """``state``: orphan (no event), offered, retired, gone. ``older`` are the runs open when it was retired."""

    holds: Chunks
    stored: bool = True
    state: str = "offered"
    older: frozenset[str] = NONE


@dataclass(frozen=True)
class Backup:
    """A run that wants ``wants``; ``parent`` is the point whose chunks it takes over without a look at the index."""

    wants: Chunks
    parent: str = ""
    at: str = "idle"
    view: Chunks = NONE
    left: Chunks = NONE
    fresh: Chunks = NONE
    pack: int = -1
    open: bool = False

    @property
    def locked(self) -> bool:
        return self.at not in ("idle", "done", "dead")


@dataclass(frozen=True)
class Reader:
    """Reads one point."""

    point: str
    at: str = "idle"

    @property
    def locked(self) -> bool:
        return self.at in ("locked", "reading")


@dataclass(frozen=True)
class Prune:
    """The one prune that may run; ``runs_left`` bounds how often one is begun."""

    runs_left: int
    at: str = "idle"
    to_test: tuple[str, ...] = ()
    points: frozenset[str] = NONE
    open: frozenset[str] = NONE
    walked: frozenset[str] = NONE
    marks: frozenset[tuple[int, str]] = frozenset()
    later: frozenset[tuple[int, str]] = frozenset()
    queue: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class World:
    """Everything: the store and history as seen by all, and where each process stands."""

    points: tuple[tuple[str, Chunks], ...]
    packs: tuple[Pack, ...]
    places: tuple[tuple[str, int], ...]
    prune: Prune
    backups: tuple[tuple[str, Backup], ...] = ()
    readers: tuple[Reader, ...] = ()
    expired: frozenset[str] = NONE
    may_expire: frozenset[str] = NONE
    may_die: bool = True

    def place(self, chunk: str) -> int:
        return dict(self.places).get(chunk, -1)

    def known(self, rules: Rules) -> Chunks:
        """What the index offers to a backup."""
        states = ("offered",) if rules.hide_retired else ("offered", "retired")
        return frozenset(chunk for chunk, pack in self.places if self.packs[pack].state in states)


def violation(world: World) -> str:
    """What is lost in this state, in words; empty when all is well."""
    for name, chunks in world.points:
        if name not in world.expired and not _whole(world, chunks):
            return f"point {name} has lost a chunk"
    for reader in world.readers:
        if reader.at == "reading" and not _whole(world, dict(world.points)[reader.point]):
            return f"the point {reader.point} vanished under its reader"
    for chunk, pack in world.places:
        if world.packs[pack].state == "offered" and not world.packs[pack].stored:
            return f"chunk {chunk} is offered and not stored"
    return ""


def _whole(world: World, chunks: Chunks) -> bool:
    return all(world.place(chunk) >= 0 and world.packs[world.place(chunk)].stored for chunk in chunks)


@dataclass(frozen=True)
class Walk:
    """How many states there are, and how the first violation came about."""

    states: int
    violation: str = ""
    path: tuple[str, ...] = field(default=())


def walk(start: World, rules: Rules, states_max: int = 2_000_000) -> Walk:
    """Try every interleaving, shortest first, up to the first violation."""
    came_from: dict[World, tuple[World | None, str]] = {start: (None, "")}
    waiting = deque([start])
    while waiting:
        world = waiting.popleft()
        found = violation(world)
        if found:
            return Walk(len(came_from), found, _path(came_from, world))
        for step, after in steps(world, rules):
            if after not in came_from:
                came_from[after] = (world, step)
                waiting.append(after)
        assert len(came_from) < states_max, "the model is too large"
    return Walk(len(came_from))


def _path(came_from: dict[World, tuple[World | None, str]], world: World) -> tuple[str, ...]:
    path = []
    at: World | None = world
    while at is not None:
        at, step = came_from[at]
        path.append(step)
    return tuple(reversed(path))[1:]


def steps(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    """Every step that any process may make now."""
    for name in sorted(world.may_expire - world.expired):
        yield f"expire {name}", replace(world, expired=world.expired | {name})
    for number, (name, backup) in enumerate(world.backups):
        for step, changed, after in backup_steps(world, rules, name, backup):
            backups = (*after.backups[:number], (name, changed), *after.backups[number + 1 :])
            yield f"{name}: {step}", replace(after, backups=backups)
        if world.may_die and backup.locked:
            dead = replace(backup, at="dead", view=NONE, left=NONE, fresh=NONE)
            backups = (*world.backups[:number], (name, dead), *world.backups[number + 1 :])
            yield f"{name}: killed", replace(world, backups=backups)
    for number, reader in enumerate(world.readers):
        for step, changed_reader in reader_steps(world, rules, reader):
            readers = (*world.readers[:number], changed_reader, *world.readers[number + 1 :])
            yield f"reader: {step}", replace(world, readers=readers)
    for step, after in prune_steps(world, rules):
        yield f"prune: {step}", after
    if world.may_die and world.prune.at != "idle":
        yield "prune: killed", replace(world, prune=Prune(world.prune.runs_left))


def backup_steps(world: World, rules: Rules, name: str, backup: Backup) -> Iterator[tuple[str, Backup, World]]:
    match backup.at:
        case "idle" if rules.backup_looks_after_its_start:
            yield "start", replace(backup, at="started", open=True), world
        case "idle":
            view, left = world.known(rules), _left(world, backup)
            yield "look at the index", replace(backup, at="looked", view=view, left=left), world
        case "looked":
            yield "start", replace(backup, at="looking", open=True), world
        case "started":
            left = _left(world, backup) if rules.parent_checked_after_start else _left_of_parent(world, backup)
            yield "catch up", replace(backup, at="looking", view=world.known(rules), left=left), world
        case "looking" if backup.left:
            chunk = min(backup.left)
            left = backup.left - {chunk}
            # A lookup may see the index as it was caught up with, or any later state: the latest is the other extreme.
            if chunk in backup.view or chunk in world.known(rules):
                yield f"{chunk} is known", replace(backup, left=left), world
            if chunk not in backup.view or chunk not in world.known(rules):
                yield f"{chunk} is new", replace(backup, left=left, fresh=backup.fresh | {chunk}), world
        case "looking" if backup.fresh and backup.pack < 0:
            packs = (*world.packs, Pack(backup.fresh, state="orphan"))
            yield "pack is durable", replace(backup, pack=len(world.packs)), replace(world, packs=packs)
        case "looking" if backup.fresh:
            yield "pack is recorded", replace(backup, fresh=NONE), offered(world, backup.pack)
        case "looking":
            points = (*world.points, (f"of {name}", backup.wants))
            yield "commit", replace(backup, at="committed", open=False), replace(world, points=points)
        case "committed":
            yield "let go of the lock", replace(backup, at="done"), world
        case _:
            pass


def _left(world: World, backup: Backup) -> Chunks:
    """What has to be looked up: all of it when the parent is expired by now (promoted to a full)."""
    return backup.wants if backup.parent in world.expired else _left_of_parent(world, backup)


def _left_of_parent(world: World, backup: Backup) -> Chunks:
    return backup.wants - dict(world.points).get(backup.parent, NONE)


def reader_steps(world: World, rules: Rules, reader: Reader) -> Iterator[tuple[str, Reader]]:
    match reader.at:
        case "idle" if rules.reader_checks_after_lock:
            yield "lock", replace(reader, at="locked")
        case "idle":
            yield "check", replace(reader, at="done" if reader.point in world.expired else "checked")
        case "checked":
            yield "lock", replace(reader, at="reading")
        case "locked":
            yield "check", replace(reader, at="done" if reader.point in world.expired else "reading")
        case "reading":
            yield "end", replace(reader, at="done")
        case _:
            pass


def offered(world: World, pack: int) -> World:
    """``chunks-written`` or ``pack-adopted``: the first place stays, unless its pack is retired."""
    if world.packs[pack].state != "orphan":
        return world
    places = dict(world.places)
    for chunk in world.packs[pack].holds:
        if chunk not in places or world.packs[places[chunk]].state == "retired":
            places[chunk] = pack
    return replace(_with_pack(world, pack, state="offered"), places=tuple(sorted(places.items())))


def _with_pack(world: World, pack: int, **changes: object) -> World:
    changed = replace(world.packs[pack], **changes)  # type: ignore[arg-type]
    return replace(world, packs=(*world.packs[:pack], changed, *world.packs[pack + 1 :]))


def prune_steps(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    prune = world.prune

    def at(place: str, world: World = world, **changes: object) -> World:
        return replace(world, prune=replace(world.prune, at=place, **changes))  # type: ignore[arg-type]

    match prune.at:
        case "idle" if prune.runs_left:
            begun = Prune(prune.runs_left - 1, at="testing", to_test=_tests(world))
            yield "begin", _looked(replace(world, prune=begun))
        case "testing" | "testing again" if prune.to_test:
            yield f"test {prune.to_test[0]}", _tested(world, rules, prune.to_test[0])
        case "testing":
            yield "adopt", at("adopted", _adopted(world))
        case "adopted":
            yield "look at the history", at("history", _looked(world) if rules.read_history_under_lock else world)
        case "history":
            yield "look at the locks", at("located", points=_live(world, rules))
        case "located":
            yield "plan", _planned(world, rules)
        case "acting" if prune.queue:
            action, pack = prune.queue[0]
            after = _acted(replace(world, prune=replace(prune, queue=prune.queue[1:])), rules, action, pack)
            yield f"{action} {pack}", after
        case "acting":
            yield "complete", replace(world, prune=Prune(prune.runs_left))
        case "testing again":
            after = _looked(world) if rules.read_history_under_lock else world
            yield "look at the history again", at("history again", after)
        case "history again":
            yield "look at the new points", _reclaim_planned(world, rules)
        case _:
            pass


def _looked(world: World) -> World:
    """The history as it is now."""
    return replace(world, prune=replace(world.prune, points=_committed(world), open=_open(world)))


def _committed(world: World) -> frozenset[str]:
    return frozenset(name for name, _ in world.points)


def _open(world: World) -> frozenset[str]:
    return frozenset(name for name, backup in world.backups if backup.open)


def _tests(world: World) -> tuple[str, ...]:
    return tuple(sorted(_open(world)))


def _tested(world: World, rules: Rules, name: str) -> World:
    """A run whose lock is free is dead if it is still open now, under the lock; then its end is recorded."""
    prune = replace(world.prune, to_test=world.prune.to_test[1:])
    backup = dict(world.backups)[name]
    if not backup.locked:
        prune = replace(prune, open=prune.open - {name})
        if backup.open:
            closed = tuple((one, replace(it, open=False) if one == name else it) for one, it in world.backups)
            world = replace(world, backups=closed)
    return replace(world, prune=prune)


def _adopted(world: World) -> World:
    for number, pack in enumerate(world.packs):
        if pack.stored and pack.state == "orphan":
            world = offered(world, number)
    return world


def _live(world: World, rules: Rules) -> frozenset[str]:
    """The points of the look at the history that are live."""
    read = {reader.point for reader in world.readers if reader.locked} if rules.read_points_are_live else set()
    parents = {backup.parent for name, backup in world.backups if name in world.prune.open}
    return frozenset(
        name for name in world.prune.points if name not in world.expired or name in read or name in parents
    )


def _marks(world: World, points: frozenset[str]) -> frozenset[tuple[int, str]]:
    chunks = frozenset(chunk for name, wanted in world.points if name in points for chunk in wanted)
    return frozenset((world.place(chunk), chunk) for chunk in chunks)


def _planned(world: World, rules: Rules) -> World:
    marks = _marks(world, world.prune.points)
    live = {number: {chunk for pack, chunk in marks if pack == number} for number in range(len(world.packs))}
    is_in = {
        state: [n for n, pack in enumerate(world.packs) if pack.state == state] for state in ("offered", "retired")
    }
    thin = [n for n in is_in["offered"] if live[n] and live[n] != world.packs[n].holds]
    queue: list[tuple[str, int]] = [("reinstate", n) for n in is_in["retired"] if live[n]]
    queue += [("retire", n) for n in is_in["offered"] if not live[n]]
    queue.append(("reclaim", -1))
    for number in thin:
        rewrite = [("rewrite", number), ("move", number)]
        retire = [("retire", number)]
        queue += rewrite + retire if rules.move_before_deleting else [*retire, ("reclaim", -1), *rewrite]
    queue.append(("reclaim", -1))
    prune = replace(world.prune, at="acting", marks=marks, walked=world.prune.points, queue=tuple(queue))
    return replace(world, prune=prune)


def _acted(world: World, rules: Rules, action: str, number: int) -> World:
    match action:
        case "retire":
            world = _with_pack(world, number, state="retired", older=_open(world))
            if not rules.keep_places_until_deleted:
                world = replace(world, places=tuple((c, p) for c, p in world.places if p != number))
        case "reinstate" if rules.reinstate_only_what_is_stored and not world.packs[number].stored:
            world = _acted(world, rules, "forget", number)
        case "reinstate":
            world = _with_pack(world, number, state="offered")
        case "rewrite":
            live = frozenset(chunk for pack, chunk in world.prune.marks | world.prune.later if pack == number)
            world = replace(world, packs=(*world.packs, Pack(live, state="orphan")))
        case "move":
            new = (
                len(world.packs) - 1 - next(i for i, pack in enumerate(reversed(world.packs)) if _is_ours(world, pack))
            )
            places = {**dict(world.places), **dict.fromkeys(world.packs[new].holds, new)}
            world = replace(_with_pack(world, new, state="offered"), places=tuple(sorted(places.items())))
        case "unlink":
            world = _with_pack(world, number, stored=False)
        case "forget":
            places = {chunk: pack for chunk, pack in world.places if pack != number}
            world = replace(_with_pack(world, number, state="gone"), places=tuple(sorted(places.items())))
        case _:
            world = _looked(world)
            world = replace(world, prune=replace(world.prune, at="testing again", to_test=_tests(world)))
    return world


def _is_ours(world: World, pack: Pack) -> bool:
    """The orphan that this prune wrote: not the one of a backup."""
    return pack.state == "orphan" and all(
        backup.pack < 0 or world.packs[backup.pack] is not pack for _, backup in world.backups
    )


def _reclaim_planned(world: World, rules: Rules) -> World:
    """Decide about every retired pack: needed after all, waiting for an older run, or to be deleted."""
    prune = world.prune
    live = _live(world, rules) - prune.walked
    later = prune.later | (_marks(world, live) - prune.marks if rules.look_at_new_points else frozenset())
    queue: list[tuple[str, int]] = []
    for number, pack in enumerate(world.packs):
        if pack.state != "retired":
            continue
        if any(one == number for one, _ in later):
            queue.append(("reinstate", number))
        elif not (rules.wait_for_older_runs and pack.older & prune.open):
            queue += [("unlink", number), ("forget", number)]
    after = replace(prune, at="acting", later=later, walked=prune.walked | prune.points, queue=(*queue, *prune.queue))
    return replace(world, prune=after)
