from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapters.disks.overlay_source import OverlaySource, Patch, Patches
from tests.unit.disks.vhdx_images import MemorySource

PATCH = st.builds(
    lambda offset, content, zero: Patch(offset, len(content), None if zero else content),
    st.integers(0, 120),
    st.binary(min_size=1, max_size=40),
    st.booleans(),
)


@given(st.lists(PATCH, max_size=12), st.integers(0, 159), st.integers(1, 160))
def test_later_patches_cover_earlier_ones_and_the_source(laid: list[Patch], start: int, length: int) -> None:
    model = bytearray(b"s" * 100 + bytes(60))
    patches = Patches()
    for patch in laid:
        patches.lay(patch)
        model[patch.offset : patch.end] = patch.content if patch.content is not None else bytes(patch.length)
    source = OverlaySource(MemorySource(b"s" * 100), patches, 160)
    buffer = bytearray(b"?" * min(length, 160 - start))
    source.read_into(start, memoryview(buffer))
    assert buffer == model[start : start + len(buffer)]


def test_closing_the_overlay_closes_the_source() -> None:
    below = MemorySource(b"abc")
    OverlaySource(below, Patches(), 3).close()
    assert below.closed
