"""Which images build on which: checkpoint chains from the leaf down to the base."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from domain.errors import AtestaError, DamagedDataError

ParentOf = Callable[[Path], Path | None]
_CHAIN_LENGTH_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The files of one disk: the leaf, which holds the current state, first; the base last."""

    files: tuple[Path, ...]

    @property
    def leaf(self) -> Path:
        """The image to open."""
        return self.files[0]

    @property
    def base(self) -> Path:
        """The image that the disk began with."""
        return self.files[-1]


def find_chains(images: Iterable[Path], parent_of: ParentOf) -> tuple[list[Chain], list[AtestaError]]:
    """The chain of every leaf among ``images``, and what went wrong with the images that are in none.

    A leaf is no other image's parent. A parent may lie outside of ``images``.
    """
    parents: dict[Path, Path | None] = {}
    troubles: dict[Path, AtestaError] = {}
    for image in dict.fromkeys(path.resolve() for path in images):
        try:
            parents[image] = parent_of(image)
        except AtestaError as error:
            troubles[image] = error
    named = set(parents.values())
    chains = []
    for leaf in parents:
        if leaf not in named:
            try:
                chains.append(_followed(leaf, parents, parent_of, troubles))
            except AtestaError as error:
                troubles.setdefault(leaf, error)
    for image in parents:
        if image not in troubles and _is_in_cycle(image, parents):
            troubles[image] = _cyclic(image)
    return chains, list(troubles.values())


def _followed(
    leaf: Path, parents: dict[Path, Path | None], parent_of: ParentOf, troubles: dict[Path, AtestaError]
) -> Chain:
    files = [leaf]
    while True:
        current = files[-1]
        if current in troubles:
            raise troubles[current]
        parent = parents[current] if current in parents else parent_of(current)
        if parent is None:
            return Chain(files=tuple(files))
        if parent in files or len(files) >= _CHAIN_LENGTH_MAX:
            raise _cyclic(leaf)
        files.append(parent)


def _is_in_cycle(image: Path, parents: dict[Path, Path | None]) -> bool:
    """Whether the parents of ``image`` lead back to it: such images have no leaf, and would be passed over."""
    current = parents[image]
    for _ in range(_CHAIN_LENGTH_MAX):
        if current is None or current == image:
            break
        current = parents.get(current)
    return current == image


def _cyclic(image: Path) -> DamagedDataError:
    return DamagedDataError(
        "The chain of differencing disks leads back to itself.",
        where=str(image),
        next_step="Export the machine again.",
    )
