"""What a VHDX file says of itself, before any of its blocks is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from adapters.disks.vhdx.headers import read_current_header
from adapters.disks.vhdx.log_replay import replayed
from adapters.disks.vhdx.metadata import Metadata, read_metadata
from adapters.disks.vhdx.regions import Regions, read_regions
from domain.ports.disks import ByteSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One file's structures. ``source`` is the file as the log leaves it; ``data_write_guid`` names its content."""

    source: ByteSource
    data_write_guid: UUID
    regions: Regions
    metadata: Metadata


def read_description(source: ByteSource) -> Description:
    """Read headers, log, regions and metadata, in this order: the log may rewrite all but the headers.

    Raises DamagedDataError or BadInputError, as the parts say.
    """
    header = read_current_header(source)
    current = replayed(source, header)
    regions = read_regions(current, header.log)
    return Description(
        source=current,
        data_write_guid=header.data_write_guid,
        regions=regions,
        metadata=read_metadata(current, regions.metadata),
    )
