"""Two installs of one system, one machine aged by upgrades, and a farm of clones, all of this machine's own files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.series.draft import SeriesDraft
from benchmarks.series.ext4_volume import Ext4Volume, FileCopy
from benchmarks.series.scale import Scale

_FILES_A_FOLDER = 256
_CLONES = 4


def make_install(draft: SeriesDraft, scale: Scale, host_name: str) -> None:
    """The same files on each host, in an order of its own, so that they lie elsewhere; one age."""
    files = scale.files("installed", scale.mib(20))
    scale.drawing(f"order of {host_name}").shuffle(files)
    _install(draft.first(), scale, host_name, files)


def make_upgraded(draft: SeriesDraft, scale: Scale) -> None:
    """Three ages: an upgrade deletes some files and writes others, and each adds a few."""
    files = scale.files("installed", scale.mib(20))
    later = [path for path in scale.files("upgrades", scale.mib(40)) if path not in set(files)]
    _install(draft.first(), scale, "web01", files)
    drawing = scale.drawing("what is upgraded")
    places = _places(len(files))
    for age in (2, 3):
        volume = Ext4Volume(draft.aged(), scale.mib(64), age=age)
        gone = drawing.sample(range(len(places)), len(places) // 10)
        volume.remove(places[number] for number in gone)
        fresh = [later.pop() for _ in range(min(len(later), len(gone)))]
        volume.write(FileCopy(source=one, path=places[number]) for one, number in zip(fresh, gone, strict=False))
        places = [path for number, path in enumerate(places) if number not in set(gone[len(fresh) :])]


def make_clone(draft: SeriesDraft, scale: Scale, number: int) -> None:
    """A clone of one template: host name, SSH keys and machine id are its own; in its second age it has logs."""
    image = draft.first()
    files = scale.files("template", scale.mib(20))
    _install(image, scale, "template", files)
    _personalise(image, scale, number, age=1)
    _personalise(draft.aged(), scale, number, age=2)


def clone_numbers() -> range:
    """The clones of a farm."""
    return range(1, _CLONES + 1)


def _personalise(image: Path, scale: Scale, number: int, age: int) -> None:
    drawing = scale.drawing(f"clone {number}, age {age}")
    keys = {f"ssh_host_{kind}_key": drawing.randbytes(size) for kind, size in (("rsa", 2590), ("ed25519", 399))}
    own = {"hostname": f"clone{number:02}\n".encode(), "machine-id": drawing.randbytes(16).hex().encode(), **keys}
    logs = {f"syslog.{age}": log_lines(scale, f"clone {number}, age {age}", scale.mib(1) // 4)}
    volume = Ext4Volume(image, scale.mib(64), age=age)
    write_content(volume, {f"/etc/{name}": content for name, content in own.items()} if age == 1 else {})
    write_content(volume, {f"/var/log/{name}": content for name, content in logs.items()})


def write_content(volume: Ext4Volume, contents: dict[str, bytes]) -> None:
    """Write new files of given content."""
    with tempfile.TemporaryDirectory(prefix="atesta-series.") as folder:
        copies = []
        for number, (path, content) in enumerate(contents.items()):
            source = Path(folder) / str(number)
            source.write_bytes(content)
            copies.append(FileCopy(source=source, path=path))
        volume.write(copies)


def log_lines(scale: Scale, purpose: str, size_bytes: int) -> bytes:
    """Lines as a system log has them."""
    drawing = scale.drawing(f"log of {purpose}")
    services = ("sshd", "systemd", "kernel", "nginx", "postgres", "cron", "postfix/smtpd")
    lines: list[str] = []
    length, second = 0, 0.0
    while length < size_bytes:
        second += drawing.expovariate(2.0)
        address = ".".join(str(drawing.randrange(256)) for _ in range(4))
        service, pid, code = drawing.choice(services), drawing.randrange(400, 32000), drawing.randrange(1 << 32)
        lines.append(f"{second:012.3f} host {service}[{pid}]: request {code:08x} from {address} done\n")
        length += len(lines[-1])
    return "".join(lines).encode()[:size_bytes]


def _install(image: Path, scale: Scale, host_name: str, files: Sequence[Path]) -> None:
    volume = Ext4Volume(image, scale.mib(64))
    places = _places(len(files))
    volume.make(host_name, ["/etc", "/var", "/var/log", *_folders(places)])
    volume.write(FileCopy(source=source, path=path) for source, path in zip(files, places, strict=True))


def _places(count: int) -> list[str]:
    return [f"/files{number // _FILES_A_FOLDER}/{number:06}" for number in range(count)]


def _folders(places: Iterable[str]) -> list[str]:
    return sorted({place.rpartition("/")[0] for place in places})
