from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
import zstandard

from domain.content.keys import RepositoryKeys
from domain.content.packs import (
    CHUNKS_LIMIT,
    HEADER_BYTES,
    TRAILER_BYTES,
    FrameSealer,
    PackHeader,
    PackKind,
    PackLayout,
    PackTable,
    decode_header,
    footer_bytes,
    open_footer,
)
from domain.errors import DamagedDataError

KEYS = RepositoryKeys.derived_from(bytes(32))
OWNER = b"o" * 16
HEADER = PackHeader(kind=PackKind.DATA, salt=b"s" * 16, repository_id=OWNER)
TABLE = PackTable(
    frame_sealed_bytes=np.array([100, 50], "<u4"),
    frame_codecs=np.array([1, 0], "u1"),
    frame_chunks=np.array([2, 1], "<u2"),
    chunk_bytes=np.array([4096, 8192, 4096], "<u4"),
    chunk_ids=bytes(range(96)),
)


def pack(frames: list[list[bytes]], header: PackHeader = HEADER) -> bytes:
    sealer = FrameSealer(KEYS, header, zstandard.ZstdCompressor(write_content_size=True))
    sealed = [
        sealer.seal(b"".join(chunks), [KEYS.chunk_id(chunk) for chunk in chunks], [len(chunk) for chunk in chunks])
        for chunks in frames
    ]
    return b"".join((header.encoded(), *sealed, sealer.finished()[1]))


def read(data: bytes, owner: bytes = OWNER) -> list[list[bytes]]:
    """Every chunk, frame by frame, as a reader would get it."""
    layout = layout_of(data, owner)
    frames = []
    for frame in range(layout.table.frame_count):
        offset, length = layout.frame_place(frame)
        plain = layout.open_frame(frame, data[offset : offset + length])
        frames.append([plain[slice(*layout.chunk_span(chunk))] for chunk in layout.chunks_of(frame)])
    return frames


def layout_of(data: bytes, owner: bytes = OWNER) -> PackLayout:
    header = decode_header(data[:HEADER_BYTES], owner)
    length = footer_bytes(data[-TRAILER_BYTES:], len(data))
    footer = data[len(data) - TRAILER_BYTES - length : len(data) - TRAILER_BYTES]
    return PackLayout(KEYS, header, open_footer(KEYS, header, footer, len(data)))


SMALL = [[b"abc", b"d" * 300], [b"\x00\x01" * 40]]


def test_every_flipped_bit_is_found_and_costs_its_frame_only() -> None:
    data = pack(SMALL)
    layout = layout_of(data)
    places = [layout.frame_place(frame) for frame in range(2)]
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        touched = [frame for frame, (at, length) in enumerate(places) if at <= bit // 8 < at + length]
        if not touched:
            with pytest.raises(DamagedDataError):
                layout_of(bytes(damaged)).open_frame(0, bytes(damaged[slice(places[0][0], sum(places[0]))]))
            continue
        reread = layout_of(bytes(damaged))
        for frame, (at, length) in enumerate(places):
            if frame in touched:
                with pytest.raises(DamagedDataError):
                    reread.open_frame(frame, bytes(damaged[at : at + length]))
            else:
                assert reread.open_frame(frame, bytes(damaged[at : at + length])) == b"".join(SMALL[frame])


def test_a_pack_that_is_cut_short_anywhere_is_damaged() -> None:
    data = pack(SMALL)

    for length in range(len(data)):
        with pytest.raises(DamagedDataError):
            read(data[:length])


def test_frames_that_change_places_do_not_open() -> None:
    data = pack([[b"a" * 64], [b"b" * 64]])
    layout = layout_of(data)
    first, second = (data[at : at + length] for at, length in map(layout.frame_place, range(2)))

    with pytest.raises(DamagedDataError):
        layout.open_frame(0, second)
    with pytest.raises(DamagedDataError):
        layout.open_frame(1, first)


def test_the_pack_of_another_repository_is_refused() -> None:
    with pytest.raises(DamagedDataError, match="another repository"):
        read(pack(SMALL), owner=b"x" * 16)


def test_a_frame_does_not_open_in_a_pack_of_another_kind() -> None:
    data, other = pack(SMALL), replace(HEADER, kind=PackKind.MAP)

    with pytest.raises(DamagedDataError):
        read(other.encoded() + data[HEADER_BYTES:])


def test_no_two_frames_of_a_pack_share_a_nonce() -> None:
    """Equal plain bytes under one key and nonce would be sealed alike."""
    data = pack([[b"same" * 20]] * 50)
    layout = layout_of(data)
    places = [layout.frame_place(frame) for frame in range(50)]

    assert len({data[at : at + length] for at, length in places}) == 50


def test_another_salt_is_another_key() -> None:
    other = pack(SMALL, replace(HEADER, salt=b"t" * 16))

    assert other[HEADER_BYTES:] != pack(SMALL)[HEADER_BYTES:]
    assert read(other) == SMALL


def test_data_that_does_not_compress_is_stored_as_it_is() -> None:
    noise = bytes(np.random.default_rng(1).integers(0, 256, 5000, dtype=np.uint8))

    assert list(layout_of(pack([[noise], [bytes(5000)]])).table.frame_codecs) == [0, 1]


def test_a_table_reads_back_as_it_was_written() -> None:
    again = PackTable.decoded(TABLE.encoded())

    assert again.encoded() == TABLE.encoded()
    assert (again.chunk_count, again.frame_count, again.chunk_id(2)) == (3, 2, bytes(range(64, 96)))


@pytest.mark.parametrize(
    "damage",
    [
        {"frame_chunks": [1, 1]},
        {"frame_chunks": [3, 0]},
        {"frame_codecs": [2, 0]},
        {"chunk_bytes": [0, 8192, 4096]},
        {"chunk_bytes": [4096, (1 << 20) + 1, 4096]},
        {"frame_sealed_bytes": [100, 4096 + 17]},
    ],
)
def test_a_table_that_contradicts_itself_is_damaged(damage: dict[str, list[int]]) -> None:
    columns = {name: np.array(values, getattr(TABLE, name).dtype) for name, values in damage.items()}

    with pytest.raises(DamagedDataError):
        PackTable.decoded(replace(TABLE, **columns).encoded())  # type: ignore[arg-type]


def test_a_frame_of_an_absurd_length_is_damaged() -> None:
    table = PackTable(
        frame_sealed_bytes=np.array([100], "<u4"),
        frame_codecs=np.array([1], "u1"),
        frame_chunks=np.array([5], "<u2"),
        chunk_bytes=np.full(5, 1 << 20, "<u4"),
        chunk_ids=bytes(160),
    )

    with pytest.raises(DamagedDataError, match="absurd length"):
        PackTable.decoded(table.encoded())


@pytest.mark.parametrize(("frames", "chunks"), [(0, 0), (0, 1), (2, 1), (1, CHUNKS_LIMIT + 1), (2**32 - 1, 2**32 - 1)])
def test_a_table_with_absurd_counts_is_refused_before_anything_is_made_of_it(frames: int, chunks: int) -> None:
    with pytest.raises(DamagedDataError, match="absurd counts"):
        PackTable.decoded(struct.pack("<II", frames, chunks) + bytes(100))


def test_a_table_of_the_wrong_length_is_damaged() -> None:
    for data in (TABLE.encoded() + b"x", TABLE.encoded()[:-1], b"", b"1234567"):
        with pytest.raises(DamagedDataError):
            PackTable.decoded(data)


def test_a_footer_that_would_not_fit_into_memory_is_refused_unread() -> None:
    """The trailer is not sealed: in a huge file it could ask for 4 GiB."""
    trailer = struct.pack("<II8s", (1 << 32) - 1, 1, b"ATSPEND1")

    with pytest.raises(DamagedDataError, match="absurd length"):
        footer_bytes(trailer, 1 << 40)


def test_a_frame_that_claims_another_plain_length_is_refused_before_there_is_room_for_it() -> None:
    header = HEADER
    bomb = zstandard.ZstdCompressor(write_content_size=True).compress(bytes(64 << 20))
    sealed = KEYS.pack_cipher(header.salt).encrypt(bytes(12), bomb, header.encoded())
    table = PackTable(
        frame_sealed_bytes=np.array([len(sealed)], "<u4"),
        frame_codecs=np.array([1], "u1"),
        frame_chunks=np.array([1], "<u2"),
        chunk_bytes=np.array([4096], "<u4"),
        chunk_ids=bytes(32),
    )

    with pytest.raises(DamagedDataError, match="wrong length"):
        PackLayout(KEYS, header, table).open_frame(0, sealed)


@pytest.mark.parametrize("chunk", [-1, 3, 1 << 40])
def test_a_chunk_that_a_pack_does_not_have_is_damage(chunk: int) -> None:
    with pytest.raises(DamagedDataError):
        layout_of(pack(SMALL)).frame_of(chunk)


def test_a_header_of_an_unknown_version_or_kind_is_refused() -> None:
    good = HEADER.encoded()
    for at, value in ((8, 2), (10, 3), (10, 0), (0, 0)):
        changed = good[:at] + bytes([value]) + good[at + 1 :]
        with pytest.raises(DamagedDataError):
            decode_header(changed, OWNER)
