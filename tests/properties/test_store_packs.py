from __future__ import annotations

from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.stores.memory import MemoryPackStore
from domain.content.packs import PackKind
from domain.workflows.chunk_reading import load_layout
from domain.workflows.pack_writing import NewChunk, PackWriter, WrittenPack
from tests.doubles.vaults import small_vault

chunk = st.one_of(
    st.binary(min_size=1, max_size=200),
    st.integers(1, 200_000).map(bytes),
    st.integers(1, 60_000).map(lambda length: blake3(b"noise").digest(length=length)),
)


@given(st.lists(st.lists(chunk, max_size=8), max_size=6), st.sampled_from(PackKind))
@settings(max_examples=80, deadline=None)
def test_every_series_of_chunks_comes_back_from_its_packs(series: list[list[bytes]], kind: PackKind) -> None:
    store = MemoryPackStore()
    vault = small_vault(store)
    written: list[WrittenPack] = []
    writer = PackWriter(vault, kind, written.append)

    for chunks in series:
        writer.write([NewChunk(vault.keys.chunk_id(data), data) for data in chunks])
        writer.finish()

    assert [pack.pack_id for pack in written] == list(store.pack_ids())
    assert len(written) == sum(1 for chunks in series if chunks)
    found = []
    for pack in written:
        whole = store.read_pack(pack.pack_id, 0, pack.pack_bytes)
        assert blake3(whole).digest() == pack.pack_id
        layout = load_layout(vault, pack.pack_id)
        assert (layout.header.kind, layout.table.encoded()) == (kind, pack.table.encoded())
        for frame in range(layout.table.frame_count):
            at, length = layout.frame_place(frame)
            plain = layout.open_frame(frame, whole[at : at + length])
            for ordinal in layout.chunks_of(frame):
                start, end = layout.chunk_span(ordinal)
                assert vault.keys.chunk_id(plain[start:end]) == layout.table.chunk_id(ordinal)
                found.append(plain[start:end])
    assert found == [data for chunks in series for data in chunks]
