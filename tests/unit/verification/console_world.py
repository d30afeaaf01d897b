"""A world to watch boots in: a scripted machine, a clock that jumps, and a reader that knows what was drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image, ImageDraw

from domain.ports.lab import Frame, Observation

FRAMES = Path(__file__).parent / "frames"


def frame_from(name: str) -> Frame:
    """A console picture that a real guest or firmware showed in QEMU."""
    with Image.open(FRAMES / f"{name}.png") as opened:
        image = opened.convert("RGB")
    return Frame(width=image.width, height=image.height, rgb=image.tobytes())


def drawn(text: str, *, cursor: bool = False, size: tuple[int, int] = (320, 200)) -> Frame:
    """``text`` on a black console; with ``cursor`` a block in the lower left corner."""
    image = Image.new("RGB", size)
    draw = ImageDraw.Draw(image)
    draw.text((4, 4), text, fill=(200, 200, 200))
    if cursor:
        draw.rectangle((4, size[1] - 12, 11, size[1] - 10), fill=(200, 200, 200))
    return Frame(width=size[0], height=size[1], rgb=image.tobytes())


@dataclass(kw_only=True)
class Scene:
    """From ``from_s`` on the console shows ``text``; progress per second of processor and disk while it lasts."""

    from_s: float
    text: str = ""
    cpu_share: float = 0.0
    reads_per_s: float = 0.0
    resets: int = 0
    running: bool = True
    blinking: bool = False
    counting: bool = False
    after_key: str | None = None


@dataclass
class World:
    """A LabMachine, a Clock and a ConsoleReader that play ``scenes``."""

    scenes: Sequence[Scene]
    end_reason: str = ""
    now_s: float = 0.0
    keys: list[float] = field(default_factory=list)
    reads: int = 0
    observed: int = 0
    _texts: dict[bytes, str] = field(default_factory=dict)

    @property
    def accelerator(self) -> str:
        return "scripted"

    def observe(self) -> Observation:
        scene = [scene for scene in self.scenes if scene.from_s <= self.now_s][-1]
        self.observed += 1
        text = scene.text
        if scene.after_key is not None and any(key >= scene.from_s for key in self.keys):
            text = scene.after_key
        if scene.counting:
            text = text + "\n" * (1 + int(self.now_s) % 5) + f"[    {self.now_s:.6f}] a message"
        frame = drawn(text, cursor=scene.blinking and self.observed % 2 == 0)
        self._texts[frame.rgb] = text
        return Observation(
            elapsed_s=self.now_s,
            frame=frame,
            running=scene.running,
            resets=scene.resets,
            cpu_s=self._total(lambda played: played.cpu_share),
            disk_reads=int(self._total(lambda played: played.reads_per_s)),
            end_reason="" if scene.running else self.end_reason,
        )

    def press_key(self) -> None:
        self.keys.append(self.now_s)

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 14, 5, tzinfo=UTC) + timedelta(seconds=self.now_s)

    def monotonic_s(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def read(self, frame: Frame) -> str:
        self.reads += 1
        return self._texts[frame.rgb]

    def _total(self, rate: Callable[[Scene], float]) -> float:
        ends = [scene.from_s for scene in self.scenes[1:]] + [float("inf")]
        return sum(
            rate(scene) * (min(self.now_s, end) - scene.from_s)
            for scene, end in zip(self.scenes, ends, strict=True)
            if scene.from_s < self.now_s
        )
