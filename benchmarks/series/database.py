"""A database under random writes: a real SQLite file in an ext4 volume, written over in place as SQLite does it."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from benchmarks.series.draft import SeriesDraft
from benchmarks.series.ext4_volume import Ext4Volume, FileCopy
from benchmarks.series.scale import Scale

DATABASE = "/var/lib/app.sqlite"
_ROW_BYTES = 400
_AGES = 3


def make_database(draft: SeriesDraft, scale: Scale) -> None:
    """Three ages; between two of them one row of two hundred is changed, inserted or deleted, all over the file.

    The file keeps its size: what is deleted makes room for what is inserted, as in a table that lives.
    """
    with tempfile.TemporaryDirectory(prefix="atesta-series.") as folder:
        file = Path(folder) / "app.sqlite"
        drawing = scale.drawing("database")
        size = scale.mib(8)
        _fill(file, size, drawing)
        image = draft.first()
        volume = Ext4Volume(image, scale.mib(32))
        volume.make("db01", ["/var", "/var/lib"])
        _reserve(volume, Path(folder) / "reserved", file.stat().st_size)
        volume.overwrite(DATABASE, file.read_bytes())
        for age in range(2, _AGES + 1):
            _churn(file, drawing)
            Ext4Volume(draft.aged(), scale.mib(32), age=age).overwrite(DATABASE, file.read_bytes())


def _reserve(volume: Ext4Volume, filler: Path, size: int) -> None:
    """Give the file all its blocks: pages of zeros would otherwise become holes."""
    filler.write_bytes(b"\xff" * size)
    volume.write([FileCopy(source=filler, path=DATABASE)])


def _fill(file: Path, size_bytes: int, drawing: random.Random) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("pragma page_size = 4096")
        database.execute("create table orders (id integer primary key, customer text, total real, body blob)")
        database.execute("create index by_customer on orders (customer)")
        rows = size_bytes // (_ROW_BYTES + 100)
        database.executemany(
            "insert into orders values (?, ?, ?, ?)", (_row(number, drawing) for number in range(rows))
        )
        # Whole pages come free: the room that later inserts take.
        database.execute("delete from orders where id > ?", (rows * 9 // 10,))


def _churn(file: Path, drawing: random.Random) -> None:
    before = file.stat().st_size
    with closing(sqlite3.connect(file)) as database, database:
        count, last = database.execute("select count(*), max(id) from orders").fetchone()
        changed = count // 600
        ids = drawing.sample(range(1, last), 3 * changed)
        updates = ((drawing.random(), _body(drawing), number) for number in ids[:changed])
        database.executemany("update orders set total = ?, body = ? where id = ?", updates)
        database.executemany("delete from orders where id = ?", ((number,) for number in ids[changed : 2 * changed]))
        fresh = (_row(last + 1 + number, drawing) for number in range(changed // 2))
        database.executemany("insert into orders values (?, ?, ?, ?)", fresh)
    assert file.stat().st_size == before, "the file keeps its size"


def _row(number: int, drawing: random.Random) -> tuple[int, str, float, bytes]:
    return number, f"customer {drawing.randrange(10_000):05}", drawing.random() * 1000, _body(drawing)


def _body(drawing: random.Random) -> bytes:
    """Half of it compresses."""
    return drawing.randbytes(_ROW_BYTES // 2) + b"delivered, paid, filed; " * (_ROW_BYTES // 48)
