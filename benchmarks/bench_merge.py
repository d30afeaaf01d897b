"""Merging changed leaves into the map of the largest disk: 64 TiB, 16,384 changed segments scattered over it."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable

from blake3 import blake3
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.extra_info import in_rounds, note_count_rate
from domain.content.disk_map import build_map, decode_root, segment_count
from domain.content.map_merge import merge_map

DISK_BYTES = 64 << 40
SEGMENT_BYTES = 64 << 20
CHANGED = 16_384


def _leaf(number: int) -> bytes:
    return (number + 1).to_bytes(32, "big")


def _store_into(nodes: dict[bytes, bytes]) -> Callable[[bytes], bytes]:
    def store(node: bytes) -> bytes:
        node_id = blake3(node).digest()
        nodes[node_id] = node
        return node_id

    return store


def bench_merge_into_the_largest_disk(benchmark: BenchmarkFixture) -> None:
    nodes: dict[bytes, bytes] = {}
    count = segment_count(DISK_BYTES, SEGMENT_BYTES)
    root_id = build_map(
        map(_leaf, range(count)), disk_bytes=DISK_BYTES, segment_bytes=SEGMENT_BYTES, store_node=_store_into(nodes)
    )
    parent = decode_root(nodes[root_id])
    draw = random.Random(1)
    changed = {number: draw.randbytes(32) for number in draw.sample(range(count), CHANGED)}

    def merge() -> bytes:
        return merge_map(
            parent,
            changed,
            disk_bytes=DISK_BYTES,
            load_node=nodes.__getitem__,
            store_node=lambda node: blake3(node).digest(),
        )

    in_rounds(benchmark, merge, rounds=7)
    tracemalloc.start()
    merge()
    benchmark.extra_info["peak_mib"] = round(tracemalloc.get_traced_memory()[1] / (1 << 20), 1)
    tracemalloc.stop()
    benchmark.extra_info["leaves"] = count
    note_count_rate(benchmark, "changed_segments", CHANGED)
