"""Watching a machine boot in the lab: look, read, decide, until the console settles or the guest stops."""

from __future__ import annotations

from dataclasses import dataclass

from domain.model.verdicts import ConsoleState
from domain.ports.clock import Clock
from domain.ports.lab import Frame, LabMachine, Observation
from domain.ports.progress import Progress, Silent
from domain.ports.reading import ConsoleReader
from verification.boot_watch import SETTLED_ENDS, BootStep, BootWatch, Look, WatchLimits, after_look
from verification.console_frames import changed_materially, is_dark
from verification.picture import REEL_FRAMES_MAX, thumbnail
from verification.screen_reading import ScreenReading, classify

_GONE = (ConsoleState.RESET_LOOP, ConsoleState.POWERED_OFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootRecord:
    """What was seen of one boot.

    ``settled_s`` is when the console first showed what it settled on, in seconds from power-on; None when it did not
    settle. ``watched_s`` is how long it was watched. ``frame`` is the picture for people: the last one, or the last
    that showed something when the guest reset or switched off. ``reel`` holds small frames in order. ``text``,
    ``evidence`` and ``end_reason`` are untrusted. ``glimpses`` are ends that were read without being held.
    """

    state: ConsoleState
    settled_s: float | None
    watched_s: float
    accelerator: str
    frame: Frame | None
    reel: tuple[Frame, ...]
    text: str
    evidence: str
    rule: str
    steps: tuple[BootStep, ...]
    glimpses: tuple[ScreenReading, ...]
    resets: int
    keys_pressed: int
    end_reason: str


def watch(
    machine: LabMachine,
    reader: ConsoleReader,
    clock: Clock,
    limits: WatchLimits | None = None,
    progress: Progress | None = None,
) -> BootRecord:
    """Watch ``machine`` until its console settles, it stops, or the limits end it.

    ``progress`` is told each change of what the console shows. Raises EnvironmentTroubleError when the lab or the
    reader is broken; whatever the guest does ends in a record.
    """
    limits = limits or WatchLimits()
    progress = progress or Silent()
    console = _Console(reader, limits)
    following = BootWatch()
    keys_pressed = 0
    while True:
        observation = machine.observe()
        steps_before = len(following.steps)
        following = after_look(following, console.look(observation), limits)
        for step in following.steps[steps_before:]:
            progress.say(f"{step.elapsed_s:5.0f} s  {step.state.value}")
        if following.ended:
            return _record(following, console, machine.accelerator, keys_pressed)
        if following.wake_wanted:
            machine.press_key()
            keys_pressed += 1
        clock.sleep(limits.look_every_s)


class _Console:
    """The console's frames and readings over time, reading only what changed."""

    def __init__(self, reader: ConsoleReader, limits: WatchLimits) -> None:
        self._reader = reader
        self._limits = limits
        self._reading: ScreenReading | None = None
        self._read_at_s = float("-inf")
        self.reference: Frame | None = None
        self.latest: Frame | None = None
        self.last_lit: Frame | None = None
        self.last_text = ""
        self.reel: list[Frame] = []
        self._reel_stride = 1
        self._changes = 0

    def look(self, observation: Observation) -> Look:
        frame = observation.frame if observation.frame is not None else self.latest
        changed = changed_materially(self.reference, frame)
        self.latest = frame
        if changed and frame is not None:
            self.reference = frame
            self._reading = None
            self._keep_for_reel(frame)
        return Look(
            elapsed_s=observation.elapsed_s,
            changed=changed,
            reading=self._current_reading(observation.elapsed_s, changed=changed),
            running=observation.running,
            resets=observation.resets,
            cpu_s=observation.cpu_s,
            disk_reads=observation.disk_reads,
            end_reason=observation.end_reason,
        )

    def _current_reading(self, elapsed_s: float, *, changed: bool) -> ScreenReading | None:
        if self._reading is not None:
            return self._reading
        frame = self.reference
        if frame is None or is_dark(frame):
            self._reading = classify("")
            return self._reading
        self.last_lit = frame
        if changed and elapsed_s - self._read_at_s < self._limits.read_every_s:
            return None
        self._reading = classify(self._reader.read(frame))
        if self._reading.state is ConsoleState.BLANK and not self._reading.rule:
            # Something is there that has no letters: a logo, a picture.
            self._reading = ScreenReading(state=ConsoleState.ACTIVE, rule="", evidence="", text="")
        self._read_at_s = elapsed_s
        self.last_text = self._reading.text or self.last_text
        return self._reading

    def _keep_for_reel(self, frame: Frame) -> None:
        """Keep small frames, evenly spread however many there are: when full, every second one goes."""
        if self._changes % self._reel_stride == 0:
            self.reel.append(thumbnail(frame))
        self._changes += 1
        if len(self.reel) > 2 * REEL_FRAMES_MAX:
            self.reel = self.reel[::2]
            self._reel_stride *= 2


def _record(following: BootWatch, console: _Console, accelerator: str, keys_pressed: int) -> BootRecord:
    reading = following.reading
    gone = following.state in _GONE
    frame = console.last_lit if gone and console.last_lit is not None else console.latest
    text = reading.text if reading is not None and not gone else console.last_text
    reel = (*console.reel, thumbnail(frame)) if frame is not None else tuple(console.reel)
    return BootRecord(
        state=following.state,
        settled_s=following.shown_since_s if following.state in SETTLED_ENDS else None,
        watched_s=following.elapsed_s,
        accelerator=accelerator,
        frame=frame,
        reel=reel,
        text=text,
        evidence=_evidence(following, gone=gone),
        rule=reading.rule if reading is not None else "",
        steps=following.steps,
        glimpses=following.glimpses,
        resets=following.resets,
        keys_pressed=keys_pressed,
        end_reason=following.end_reason,
    )


def _evidence(following: BootWatch, *, gone: bool) -> str:
    if gone and following.glimpses:
        return following.glimpses[-1].evidence
    return following.reading.evidence if following.reading is not None else ""
