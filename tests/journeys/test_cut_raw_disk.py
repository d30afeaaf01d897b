from __future__ import annotations

import json
from pathlib import Path

from blake3 import blake3

from tests.doubles.exported_folder import CommandLine


def test_a_raw_disk_that_is_refused_while_it_is_cut_is_one_machine_with_its_failure(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    line.init()
    disk, content = line.exports / "web.raw", blake3(b"web").digest(length=1 << 20)
    disk.write_bytes(content[:-100])
    refused = line.run("backup", "--no-verify")
    disk.write_bytes(content)
    done = line.run("backup", "--no-verify")
    disk.write_bytes(content[:-100])
    refused_again = line.run("backup", "--no-verify")

    assert "it was cut" in refused.output
    assert [one.exit_code for one in (refused, done, refused_again)] == [3, 0, 3]
    status = json.loads(line.run("status", "--json").stdout)
    assert (status["machines"], status["points"]) == (1, 1)
