"""Whole boots, scripted: what is recorded, how often the console is read, and what is never taken for a boot."""

from __future__ import annotations

import pytest

from domain.errors import EnvironmentTroubleError
from domain.model.verdicts import ConsoleState
from domain.ports.lab import Frame
from tests.unit.verification.console_world import Scene, World
from verification.boot_watch import WatchLimits
from verification.lab_run import BootRecord, watch
from verification.picture import REEL_FRAMES_MAX

LOGIN = "Debian GNU/Linux 12 web01 tty1\n\nweb01 login:"
LINUX = (
    Scene(from_s=0),
    Scene(from_s=2, text="SeaBIOS (version 1.16.2)"),
    Scene(from_s=4, text="GNU GRUB  version 2.06"),
    Scene(from_s=9, text="Loading initial ramdisk ...", cpu_share=0.9, reads_per_s=100),
    Scene(from_s=20, text="[  OK  ] Started", counting=True, cpu_share=0.9, reads_per_s=100),
    Scene(from_s=38, text=LOGIN, blinking=True),
)


def run(*scenes: Scene, limits: WatchLimits | None = None) -> tuple[BootRecord, World]:
    world = World(scenes)
    return watch(world, world, world, limits), world


def test_a_linux_guest_settles_at_its_sign_in() -> None:
    record, _ = run(*LINUX)
    assert record.state is ConsoleState.SIGN_IN
    assert record.settled_s == 38
    assert record.evidence == "web01 login:"
    assert [step.state for step in record.steps] == [
        ConsoleState.FIRMWARE,
        ConsoleState.BOOT_LOADER,
        ConsoleState.BOOTING,
        ConsoleState.ACTIVE,
        ConsoleState.SIGN_IN,
    ]


def test_a_console_is_read_only_when_it_changed_and_not_all_the_time() -> None:
    record, world = run(*LINUX)
    assert record.watched_s >= 41
    assert world.reads <= 9


def test_windows_getting_devices_ready_is_booting_however_long_it_stands() -> None:
    record, _ = run(
        Scene(from_s=0, text="Getting devices ready 35%", reads_per_s=50),
        Scene(from_s=200, text="Applying update operation 12 of 400", reads_per_s=50),
        Scene(from_s=400, text="Press Ctrl+Alt+Delete to unlock."),
    )
    assert record.state is ConsoleState.SIGN_IN
    assert record.settled_s == 400


def test_a_prompt_that_was_on_an_earlier_frame_does_not_count() -> None:
    record, _ = run(
        Scene(from_s=0, text=LOGIN), Scene(from_s=2, text="Kernel panic - not syncing: Attempted to kill init!")
    )
    assert record.state is ConsoleState.PANIC
    assert record.settled_s is None


def test_a_cursor_that_blinks_on_black_for_ever_stayed_blank_after_keys_were_tried() -> None:
    record, world = run(Scene(from_s=0, blinking=True))
    assert record.state is ConsoleState.STAYED_BLANK
    assert record.keys_pressed == len(world.keys) == 2
    assert world.reads == 0


def test_a_console_that_was_only_asleep_is_woken_by_the_key() -> None:
    record, _ = run(Scene(from_s=0, blinking=True, after_key=LOGIN))
    assert record.state is ConsoleState.SIGN_IN
    assert record.keys_pressed == 1


def test_a_reset_loop_shows_the_picture_from_before_the_reset() -> None:
    blue = "Your device ran into a problem and needs to restart."
    record, _ = run(
        *(
            scene
            for count in range(4)
            for scene in (
                Scene(from_s=count * 10, resets=count),
                Scene(from_s=count * 10 + 6, text=blue, resets=count),
            )
        )
    )
    assert (record.state, record.resets) == (ConsoleState.RESET_LOOP, 3)
    assert record.glimpses[-1].state is ConsoleState.STOP_SCREEN
    assert record.evidence == blue
    assert record.frame is not None
    assert max(record.frame.rgb) > 0


def test_a_guest_that_switches_itself_off_is_no_boot() -> None:
    world = World([Scene(from_s=0, text="[    1.0] Power down"), Scene(from_s=3, running=False)], "guest shutdown")
    record = watch(world, world, world)
    assert (record.state, record.end_reason) == (ConsoleState.POWERED_OFF, "guest shutdown")


def test_a_stop_that_nothing_interrupts_ends_at_the_hard_limit() -> None:
    record, world = run(Scene(from_s=0, text="[    1.0] message", counting=True), limits=WatchLimits(seconds_max=120))
    assert record.state is ConsoleState.TIMED_OUT
    assert record.watched_s == 120
    assert world.reads <= 120 / 4 + 1
    assert 2 <= len(record.reel) <= 2 * REEL_FRAMES_MAX + 1


def test_what_the_console_shows_is_told_as_it_changes() -> None:
    class Listener:
        def __init__(self) -> None:
            self.said: list[str] = []

        def begin(self, label: str, total_bytes: int | None) -> None: ...
        def advance(self, done_bytes: int) -> None: ...
        def end(self) -> None: ...

        def say(self, sentence: str) -> None:
            self.said.append(sentence.split("  ")[-1])

    world, listener = World(LINUX), Listener()
    watch(world, world, world, progress=listener)
    assert listener.said == ["firmware", "boot loader", "booting", "active", "sign-in"]


def test_a_reader_that_is_missing_is_not_taken_for_a_blank_console() -> None:
    class NoReader:
        def read(self, frame: Frame) -> str:
            raise EnvironmentTroubleError("tesseract is missing")

    world = World(LINUX)
    with pytest.raises(EnvironmentTroubleError):
        watch(world, NoReader(), world)
