"""Opening a VHDX with all of its parents ([MS-VHDX] 2.6.2.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from adapters.disks.faults import damaged_image
from adapters.disks.vhdx.description import Description, read_description
from adapters.disks.vhdx.disk import VhdxDisk
from adapters.disks.vhdx.parent_locator import ParentLocator
from domain.errors import BadInputError
from domain.ports.disks import ByteSource

CHAIN_LENGTH_MAX = 64


class ParentFinder(Protocol):
    """Looks for the files that may be a disk's parent."""

    def __call__(self, locator: ParentLocator, child_location: str) -> Iterator[ByteSource]:
        """Sources that exist under one of the locator's paths, likeliest first; the taker closes each."""


def open_vhdx(source: ByteSource, find_parents: ParentFinder) -> VhdxDisk:
    """Open the disk in ``source`` with its parents, verifying each linkage; takes ownership of ``source``.

    Raises DamagedDataError for a broken file, a wrong parent, a cycle or more than 64 layers; BadInputError when a
    parent is not there or a layer is of an unknown kind; EnvironmentTroubleError when a file cannot be read. Nothing
    stays open then.
    """
    sources: list[ByteSource] = [source]
    try:
        layers = [read_description(source)]
        sources[0] = layers[0].source
        while layers[-1].metadata.parent is not None:
            layers.append(find_parent(layers[-1], find_parents))
            sources.append(layers[-1].source)
            _check_chain(sources)
        return _stacked(layers)
    except BaseException:
        for opened in sources:
            opened.close()
        raise


def find_parent(child: Description, find_parents: ParentFinder) -> Description:
    """The parent of the differencing disk ``child``: the first candidate whose DataWriteGuid is the linkage.

    Raises DamagedDataError when candidates exist but none is the state of the parent that ``child`` was made from,
    BadInputError when there is no candidate.
    """
    locator = child.metadata.parent
    assert locator is not None
    rejected: list[str] = []
    for candidate in find_parents(locator, child.source.location):
        description = _described(candidate)
        if description.data_write_guid in locator.linkages:
            return description
        description.source.close()
        rejected.append(candidate.location)
    if rejected:
        raise damaged_image(
            f"The parent {rejected[0]} is not the disk that this one was made from, or was changed since.",
            child.source.location,
        )
    names = ", ".join(repr(path) for path in locator.paths) or "without a name"
    raise BadInputError(
        f"The parent of this differencing disk ({names}) was not found.",
        where=child.source.location,
        next_step="Put the parent into the same folder, or export the machine with all of its checkpoints.",
    )


def _described(source: ByteSource) -> Description:
    try:
        return read_description(source)
    except BaseException:
        source.close()
        raise


def _check_chain(sources: list[ByteSource]) -> None:
    locations = [source.location for source in sources]
    if locations[-1] in locations[:-1]:
        raise damaged_image("The chain of differencing disks leads back to itself.", locations[-1])
    if len(sources) > CHAIN_LENGTH_MAX:
        raise damaged_image(f"The chain of differencing disks has more than {CHAIN_LENGTH_MAX} files.", locations[0])


def _stacked(layers: list[Description]) -> VhdxDisk:
    disk: VhdxDisk | None = None
    for layer in reversed(layers):
        disk = VhdxDisk(layer, disk)
    assert disk is not None
    return disk
