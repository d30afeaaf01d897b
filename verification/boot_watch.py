"""Following a boot, one look at a time, until the console settles or the guest stops.

Invariants:

- ``after_look`` is a pure function; the table in boot_table decides, this file only finds out which sign a look is.
- A boot is settled when the console stood still for several looks *and* some seconds and says so: a prompt on its way
  up the screen, or on a frame that is gone, settles nothing. A failure is believed when the console says the same kind
  of thing for some seconds without a break; it may go on printing meanwhile.
- Waiting follows progress (the console changes, disks are read, the processor works), so a slow guest is not cut off; a
  guest that only burns processor time is given up later, and a hard limit ends every watch. Firmware and boot loaders
  poll the keyboard at full speed, so processor time says nothing there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from domain.model.verdicts import ConsoleState
from verification.boot_table import ENDS, HELD_SIGN_OF, SIGN_OF_STATE_ON_THE_WAY, Sign, next_state
from verification.screen_reading import ScreenReading

_HOLD_S_BY_END: Mapping[ConsoleState, float] = MappingProxyType(
    {
        ConsoleState.SIGN_IN: 3.0,
        ConsoleState.CONSOLE: 5.0,
        ConsoleState.DESKTOP: 8.0,
        ConsoleState.PANIC: 3.0,
        ConsoleState.STOP_SCREEN: 5.0,
        ConsoleState.EMERGENCY_SHELL: 8.0,
        ConsoleState.RECOVERY_ENVIRONMENT: 8.0,
        # Firmware retries other devices, and GRUB goes on ten seconds after an error.
        ConsoleState.NO_BOOT_DEVICE: 12.0,
        ConsoleState.BOOT_LOADER_STUCK: 12.0,
    }
)


SETTLED_ENDS = (ConsoleState.SIGN_IN, ConsoleState.DESKTOP, ConsoleState.CONSOLE)
_BEFORE_THE_SYSTEM = (ConsoleState.FIRMWARE, ConsoleState.BOOT_LOADER)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchLimits:
    """Bounds of a watch, in seconds unless named otherwise.

    ``seconds_max`` ends every watch. ``patience_s`` is how long nothing at all may happen, ``cpu_only_patience_s`` how
    long the processor alone may be busy. A disk is read when it serves more than ``idle_reads_per_s``; the processor is
    busy above ``busy_cpu_share`` of one core. ``hold_looks`` unchanged looks settle an end, or ``restless_hold_s`` of
    the same reading on a console that never stands still (an animated sign-in). ``wake_after_s`` of nothing: press a
    key. A changing console is read at most once in ``read_every_s``.
    """

    seconds_max: float = 900.0
    patience_s: float = 60.0
    cpu_only_patience_s: float = 240.0
    idle_reads_per_s: float = 2.0
    busy_cpu_share: float = 0.2
    hold_looks: int = 3
    restless_hold_s: float = 30.0
    wake_after_s: float = 20.0
    resets_max: int = 3
    look_every_s: float = 1.0
    read_every_s: float = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at the machine, reduced to what the rules need.

    ``changed``: the console changed materially since the look before. ``reading`` is what the console shows now, None
    while it changes too quickly to be read. The other fields are those of an Observation.
    """

    elapsed_s: float
    changed: bool
    reading: ScreenReading | None
    running: bool = True
    resets: int = 0
    cpu_s: float = 0.0
    disk_reads: int = 0
    end_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootStep:
    """The console began to show ``state`` at ``elapsed_s``, because of ``sign``."""

    elapsed_s: float
    state: ConsoleState
    sign: Sign


@dataclass(frozen=True, slots=True, kw_only=True)
class BootWatch:
    """All that is remembered of a boot so far; a new one is a machine that was just powered on.

    ``reading`` is the last one, shown without a break since ``shown_since_s``; the console stands still since
    ``still_since_s``, for ``still_looks`` looks. ``glimpses`` are ends that were read but perhaps not held, in order.
    """

    state: ConsoleState = ConsoleState.BLANK
    elapsed_s: float = 0.0
    reading: ScreenReading | None = None
    shown_since_s: float = 0.0
    still_since_s: float = 0.0
    still_looks: int = 0
    progress_s: float = 0.0
    cpu_busy_s: float = 0.0
    woken_s: float = 0.0
    wake_wanted: bool = False
    resets: int = 0
    cpu_s: float = 0.0
    disk_reads: int = 0
    end_reason: str = ""
    steps: tuple[BootStep, ...] = ()
    glimpses: tuple[ScreenReading, ...] = field(default=())

    @property
    def ended(self) -> bool:
        """Whether the watch is over."""
        return self.state in ENDS


def after_look(watch: BootWatch, look: Look, limits: WatchLimits) -> BootWatch:
    """What is known after one more look. A watch that ended stays as it is."""
    if watch.ended:
        return watch
    seen = _with_progress(_with_reading(watch, look), watch, look, limits)
    sign = _sign(seen, watch, look, limits)
    if sign is None:
        return _with_waking(seen, limits)
    state = next_state(watch.state, sign)
    steps = (
        seen.steps
        if state is watch.state
        else (*seen.steps, BootStep(elapsed_s=look.elapsed_s, state=state, sign=sign))
    )
    return _with_waking(replace(seen, state=state, steps=steps), limits)


def _with_reading(watch: BootWatch, look: Look) -> BootWatch:
    last = None if look.resets > watch.resets else watch.reading
    unbroken = look.reading is not None and last is not None and look.reading.state is last.state
    moved = look.changed or look.resets > watch.resets
    still_since_s = look.elapsed_s if moved else watch.still_since_s
    glimpses = watch.glimpses
    if look.reading is not None and look.reading.state in HELD_SIGN_OF and not unbroken:
        glimpses = (*glimpses, look.reading)[-8:]
    return replace(
        watch,
        elapsed_s=look.elapsed_s,
        reading=look.reading or last,
        shown_since_s=watch.shown_since_s if unbroken or look.reading is None else still_since_s,
        still_since_s=still_since_s,
        still_looks=1 if moved else watch.still_looks + 1,
        glimpses=glimpses,
        end_reason=look.end_reason,
    )


def _with_progress(seen: BootWatch, before: BootWatch, look: Look, limits: WatchLimits) -> BootWatch:
    passed_s = max(look.elapsed_s - before.elapsed_s, 0.001)
    reads = max(look.disk_reads - before.disk_reads, 0) / passed_s > limits.idle_reads_per_s
    busy = max(look.cpu_s - before.cpu_s, 0.0) / passed_s > limits.busy_cpu_share
    progressed = look.changed or reads or look.resets > before.resets
    return replace(
        seen,
        progress_s=look.elapsed_s if progressed else before.progress_s,
        cpu_busy_s=look.elapsed_s if busy else before.cpu_busy_s,
        resets=look.resets,
        cpu_s=look.cpu_s,
        disk_reads=look.disk_reads,
    )


def _sign(seen: BootWatch, before: BootWatch, look: Look, limits: WatchLimits) -> Sign | None:
    """The sign that this look is, the most final first; None while the console changes too quickly to be read."""
    if not look.running:
        return Sign.SWITCHED_OFF
    if look.resets >= limits.resets_max:
        return Sign.RESETS_REPEATED
    if look.resets > before.resets:
        return Sign.RESET
    if look.reading is not None and _held(seen, look.reading, limits):
        return HELD_SIGN_OF[look.reading.state]
    if look.elapsed_s >= limits.seconds_max:
        return Sign.OUT_OF_TIME
    if _stalled(seen, limits):
        return Sign.STALLED
    if look.reading is None:
        return None
    return SIGN_OF_STATE_ON_THE_WAY.get(look.reading.state, Sign.OTHER)


def _held(seen: BootWatch, reading: ScreenReading, limits: WatchLimits) -> bool:
    hold_s = _HOLD_S_BY_END.get(reading.state)
    if hold_s is None:
        return False
    shown_s = seen.elapsed_s - seen.shown_since_s
    if reading.state not in SETTLED_ENDS:
        return shown_s >= hold_s
    still = seen.still_looks >= limits.hold_looks and seen.elapsed_s - seen.still_since_s >= hold_s
    return still or shown_s >= limits.restless_hold_s


def _stalled(seen: BootWatch, limits: WatchLimits) -> bool:
    quiet_s = seen.elapsed_s - seen.progress_s
    polling = seen.state in _BEFORE_THE_SYSTEM
    idle_s = quiet_s if polling else seen.elapsed_s - max(seen.progress_s, seen.cpu_busy_s)
    return idle_s >= limits.patience_s or quiet_s >= limits.cpu_only_patience_s


def _with_waking(seen: BootWatch, limits: WatchLimits) -> BootWatch:
    """Ask for a key when a dark or unreadable console did nothing for a while, and again after the same while."""
    sleepy = seen.state in (ConsoleState.BLANK, ConsoleState.ACTIVE)
    quiet_since_s = max(seen.progress_s, seen.woken_s)
    wanted = sleepy and seen.elapsed_s - quiet_since_s >= limits.wake_after_s
    return replace(seen, wake_wanted=wanted, woken_s=seen.elapsed_s if wanted else seen.woken_s)
