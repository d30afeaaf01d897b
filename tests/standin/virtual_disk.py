"""One virtual disk of a stand-in machine: its files, what the guest wrote, and what is tracked."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from uuid import uuid4

from domain.model.extents import Extent, aligned, clipped
from tests.standin.differencing_disk import create_child, merge, relink
from tests.standin.live_vhdx import LiveVhdx

TRACKING_GRID_BYTES = 64 << 10


@dataclass(kw_only=True)
class Layer:
    """A file of the chain. ``held_by`` names the checkpoint that froze it at ``frozen_at``; the leaf has none."""

    path: str
    file: Path
    held_by: str = ""
    frozen_at: int | None = None


@dataclass(kw_only=True)
class VirtualDisk:
    """``layers`` from the base to the leaf. A position in the write log names a moment of the disk's content."""

    disk_id: str
    size_bytes: int
    controller: str
    controller_number: int
    location: int
    layers: list[Layer]
    initial: Path
    kind: str = "vhdx"
    rct_id: str = ""
    writes: list[tuple[int, bytes]] = field(default_factory=list)
    tracked: dict[str, int] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock, repr=False)

    @property
    def leaf(self) -> Layer:
        return self.layers[-1]

    @property
    def now(self) -> int:
        """The current position in the write log."""
        return len(self.writes)

    def write(self, offset: int, data: bytes) -> None:
        """A guest's write, whole sectors."""
        with self.lock:
            with LiveVhdx(self.leaf.file) as file:
                file.write(offset, data)
            self.writes.append((offset, data))

    def content(self, position: int | None = None) -> bytes:
        """What the guest saw at ``position``, from the write log and not from the disk's files: the byte oracle."""
        return self.read(0, self.size_bytes, position)

    def read(self, offset: int, length: int, position: int | None = None) -> bytes:
        """A part of that."""
        with self.initial.open("rb") as file:
            file.seek(offset)
            part = bytearray(file.read(length).ljust(length, b"\0"))
        for at, data in self.writes[:position]:
            start, end = max(at, offset), min(at + len(data), offset + length)
            if start < end:
                part[start - offset : end - offset] = data[start - at : end - at]
        return bytes(part)

    def freeze(self, checkpoint: str) -> int:
        """The leaf holds still from now on; a new one takes the writes. Gives the position."""
        with self.lock:
            return self._freeze(checkpoint)

    def _freeze(self, checkpoint: str) -> int:
        below = self.leaf
        stem = Path(below.path.rsplit("\\", 1)[-1]).stem.split("_")[0]
        name = f"{stem}_{str(uuid4()).upper()}.avhdx"
        path = below.path.rsplit("\\", 1)[0] + "\\" + name
        file = below.file.with_name(name)
        create_child(file, below.file, parent_path=below.path)
        below.held_by, below.frozen_at = checkpoint, self.now
        self.layers.append(Layer(path=path, file=file))
        return below.frozen_at

    def track(self, position: int) -> str:
        """A new tracking id for a moment."""
        self.rct_id = "rctX:" + str(uuid4()).replace("-", ":") + ":00000001"
        self.tracked[self.rct_id] = position
        return self.rct_id

    def forget(self, rct_id: str) -> None:
        """Nothing is known since ``rct_id`` any more."""
        self.tracked.pop(rct_id, None)

    def frozen_by(self, checkpoint: str) -> Layer:
        """The file that a checkpoint holds."""
        (layer,) = [layer for layer in self.layers if layer.held_by == checkpoint]
        return layer

    def collapse(self, checkpoints: Iterable[str]) -> None:
        """Merge the file above each one that none of ``checkpoints`` holds into it."""
        with self.lock:
            self._collapse(set(checkpoints))

    def _collapse(self, held: set[str]) -> None:
        for index in range(len(self.layers) - 2, -1, -1):
            below, above = self.layers[index : index + 2]
            if below.held_by in held:
                continue
            merge(above.file, below.file)
            above.file.unlink()
            below.held_by, below.frozen_at = above.held_by, above.frozen_at
            del self.layers[index + 1]
            if index + 1 < len(self.layers):
                relink(self.layers[index + 1].file, below.file, parent_path=below.path)

    def revert(self, checkpoint: str) -> None:
        """Apply a checkpoint: what was written since is gone, and so is what was tracked."""
        with self.lock:
            index = next(number for number, layer in enumerate(self.layers) if layer.held_by == checkpoint)
            for layer in self.layers[index + 1 :]:
                layer.file.unlink()
            kept = self.layers[index]
            del self.layers[index + 1 :]
            assert kept.frozen_at is not None
            del self.writes[kept.frozen_at :]
            self._freeze(checkpoint)
            self.rct_id = ""
            self.tracked.clear()

    def changed(self, since: int, until: int, window: Extent) -> list[tuple[int, int]]:
        """The ranges of ``window`` written between two positions, on the grid of the tracking."""
        written = sorted(Extent(offset, len(data)) for offset, data in self.writes[since:until] if data)
        ranges = clipped(aligned(written, TRACKING_GRID_BYTES, self.size_bytes), window)
        return [(extent.offset, extent.length) for extent in ranges]


def base_disk(raw: bytes | Path, file: Path, *, oracle: Path) -> tuple[str, int]:
    """Make a dynamic VHDX by qemu-img from raw bytes or a raw image; gives the disk's id and size."""
    if isinstance(raw, bytes):
        oracle.write_bytes(raw)
    else:
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", str(raw), str(oracle)], check=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    options = ["-f", "raw", "-O", "vhdx", "-o", "subformat=dynamic"]
    subprocess.run(["qemu-img", "convert", *options, str(oracle), str(file)], check=True)
    with LiveVhdx(file) as disk:
        return str(disk.disk_id).upper(), disk.size_bytes
