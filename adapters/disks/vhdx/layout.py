"""Where VHDX keeps its fixed structures, its signatures and its GUIDs ([MS-VHDX] 2.1 to 2.6)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final
from uuid import UUID

MIB: Final = 1 << 20
SECTOR_BYTES: Final = 4096

FILE_SIGNATURE: Final = b"vhdxfile"
HEADER_OFFSETS: Final = (64 << 10, 128 << 10)
REGION_TABLE_OFFSETS: Final = (192 << 10, 256 << 10)
HEADER_BYTES: Final = 4096
TABLE_BYTES: Final = 64 << 10
HEADER_SECTION_BYTES: Final = MIB

BAT_REGION: Final = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
METADATA_REGION: Final = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")

FILE_PARAMETERS: Final = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
VIRTUAL_DISK_SIZE: Final = UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
VIRTUAL_DISK_ID: Final = UUID("beca12ab-b2e6-4523-93ef-c309e000c746")
LOGICAL_SECTOR_SIZE: Final = UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
PHYSICAL_SECTOR_SIZE: Final = UUID("cda348c7-445d-4471-9cc9-e9885251c556")
PARENT_LOCATOR: Final = UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
VHDX_LOCATOR_TYPE: Final = UUID("b04aefb7-d19e-4a81-b789-25b8e9445913")

DISK_BYTES_MAX: Final = 64 << 40
BLOCK_BYTES_MIN: Final = MIB
BLOCK_BYTES_MAX: Final = 256 * MIB
FILE_BYTES_MAX: Final = DISK_BYTES_MAX + (1 << 40)
SECTORS_PER_BITMAP: Final = 1 << 23


class BlockState(IntEnum):
    """The states of a payload block ([MS-VHDX] 2.5.1.1); a bitmap block is NOT_PRESENT or FULLY_PRESENT."""

    NOT_PRESENT = 0
    UNDEFINED = 1
    ZERO = 2
    UNMAPPED = 3
    FULLY_PRESENT = 6
    PARTIALLY_PRESENT = 7


def bat_entry_count(payload_blocks: int, chunk_ratio: int, *, has_parent: bool) -> int:
    """How many entries a block allocation table has ([MS-VHDX] 2.5): a bitmap entry follows each full chunk."""
    if has_parent:
        return -(-payload_blocks // chunk_ratio) * (chunk_ratio + 1)
    return payload_blocks + (payload_blocks - 1) // chunk_ratio
