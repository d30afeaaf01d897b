"""The steps of the pipeline on one segment of real disk content, one thread each."""

from __future__ import annotations

import zstandard
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.extra_info import in_rounds, note_count_rate, note_rate
from domain.content.chunking import Chunker, ChunkingParameters
from domain.content.disk_map import MappedPiece, build_map, encode_leaf
from domain.content.keys import RepositoryKeys
from domain.content.packs import FRAME_PLAIN_BYTES_MAX, FrameSealer, PackHeader, PackKind, PackLayout
from domain.model.extents import Extent
from domain.workflows.pack_writing import COMPRESSION

_HEADER = PackHeader(kind=PackKind.DATA, salt=bytes(16), repository_id=bytes(16))
_SEGMENTS_OF_A_TEBIBYTE = 16384


def frames_of(chunks: list[memoryview]) -> list[list[memoryview]]:
    """Chunks in groups as a pack writer makes them."""
    frames: list[list[memoryview]] = [[]]
    filled = 0
    for chunk in chunks:
        if frames[-1] and filled + len(chunk) > FRAME_PLAIN_BYTES_MAX:
            frames.append([])
            filled = 0
        frames[-1].append(chunk)
        filled += len(chunk)
    return frames


def sealed_frames(keys: RepositoryKeys, frames: list[list[memoryview]]) -> tuple[FrameSealer, list[bytes]]:
    """All frames sealed as one pack's."""
    sealer = FrameSealer(keys, _HEADER, zstandard.ZstdCompressor(compression_params=COMPRESSION))
    return sealer, [
        sealer.seal(b"".join(frame), [bytes(32)] * len(frame), [len(chunk) for chunk in frame]) for frame in frames
    ]


def bench_cutting_a_segment(benchmark: BenchmarkFixture, chunker: Chunker, segment: memoryview) -> None:
    pieces = in_rounds(benchmark, lambda: chunker.cut(segment, [Extent(0, len(segment))]), rounds=15)
    assert sum(piece.length for piece in pieces) == len(segment)
    benchmark.extra_info["pieces"] = len(pieces)
    note_rate(benchmark, len(segment))


def bench_hashing_chunks(benchmark: BenchmarkFixture, keys: RepositoryKeys, chunks: list[memoryview]) -> None:
    ids = in_rounds(benchmark, lambda: [keys.chunk_id(chunk) for chunk in chunks], rounds=15)
    benchmark.extra_info["distinct_share"] = len(set(ids)) / len(ids)
    note_rate(benchmark, sum(map(len, chunks)))


def bench_compressing_and_sealing_frames(
    benchmark: BenchmarkFixture, keys: RepositoryKeys, chunks: list[memoryview]
) -> None:
    frames = frames_of(chunks)
    _sealer, sealed = in_rounds(benchmark, sealed_frames, fresh=lambda: (keys, frames), rounds=5)
    data_bytes = sum(map(len, chunks))
    benchmark.extra_info["sealed_share"] = sum(map(len, sealed)) / data_bytes
    note_rate(benchmark, data_bytes)


def bench_compressing_frames(benchmark: BenchmarkFixture, chunks: list[memoryview]) -> None:
    plain = [b"".join(frame) for frame in frames_of(chunks)]
    compressor = zstandard.ZstdCompressor(compression_params=COMPRESSION)
    packed = in_rounds(benchmark, lambda: [compressor.compress(frame) for frame in plain], rounds=7)
    data_bytes = sum(map(len, plain))
    benchmark.extra_info["compressed_share"] = sum(map(len, packed)) / data_bytes
    note_rate(benchmark, data_bytes)


def bench_sealing_frames(benchmark: BenchmarkFixture, keys: RepositoryKeys, chunks: list[memoryview]) -> None:
    """AES-256-GCM alone, of compressed bytes."""
    compressor = zstandard.ZstdCompressor(compression_params=COMPRESSION)
    packed = [compressor.compress(b"".join(frame)) for frame in frames_of(chunks)]
    cipher = keys.pack_cipher(_HEADER.salt)
    associated = _HEADER.encoded()

    def seal() -> int:
        nonces = (number.to_bytes(12, "little") for number in range(len(packed)))
        return sum(len(cipher.encrypt(nonce, frame, associated)) for nonce, frame in zip(nonces, packed, strict=True))

    assert in_rounds(benchmark, seal, rounds=15) > 0
    note_rate(benchmark, sum(map(len, packed)))


def bench_opening_frames(benchmark: BenchmarkFixture, keys: RepositoryKeys, chunks: list[memoryview]) -> None:
    sealer, sealed = sealed_frames(keys, frames_of(chunks))
    table, _ending = sealer.finished()
    layout = PackLayout(keys, _HEADER, table)

    def open_all() -> int:
        return sum(len(layout.open_frame(number, frame)) for number, frame in enumerate(sealed))

    data_bytes = in_rounds(benchmark, open_all, rounds=7)
    assert data_bytes == sum(map(len, chunks))
    note_rate(benchmark, data_bytes)


def bench_encoding_a_leaf(benchmark: BenchmarkFixture, keys: RepositoryKeys, chunks: list[memoryview]) -> None:
    pieces = [MappedPiece(len(chunk), keys.chunk_id(chunk)) for chunk in chunks]
    leaf = in_rounds(benchmark, lambda: encode_leaf(pieces), rounds=50)
    benchmark.extra_info["map_share"] = len(leaf) / sum(map(len, chunks))
    note_count_rate(benchmark, "pieces", len(pieces))


def bench_building_the_map_of_a_tebibyte(benchmark: BenchmarkFixture, keys: RepositoryKeys) -> None:
    leaf_ids = [keys.map_id(number.to_bytes(4, "little")) for number in range(_SEGMENTS_OF_A_TEBIBYTE)]
    segment_bytes = ChunkingParameters().segment_bytes

    def build() -> bytes:
        return build_map(
            leaf_ids, disk_bytes=len(leaf_ids) * segment_bytes, segment_bytes=segment_bytes, store_node=keys.map_id
        )

    root = in_rounds(benchmark, build, rounds=15)
    assert len(root) == 32
    note_count_rate(benchmark, "segments", len(leaf_ids))
