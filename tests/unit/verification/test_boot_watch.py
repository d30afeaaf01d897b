"""Single looks: what counts as held, as progress, as a stall."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.model.verdicts import ConsoleState
from verification.boot_watch import BootWatch, Look, WatchLimits, after_look
from verification.screen_reading import classify

LIMITS = WatchLimits()
LOGIN = classify("Debian GNU/Linux 12 web01 tty1\n\nweb01 login: _")
PANIC = classify("[    2.1] Kernel panic - not syncing: VFS: Unable to mount root fs")
BOOTING = classify("Loading initial ramdisk ...")
NOTHING = classify("")


def watched(*looks: Look, limits: WatchLimits = LIMITS) -> BootWatch:
    following = BootWatch()
    for look in looks:
        following = after_look(following, look, limits)
    return following


def still(reading: object, seconds: range, **facts: int) -> list[Look]:
    look = Look(elapsed_s=0, changed=False, reading=reading, **facts)  # type: ignore[arg-type]
    return [replace(look, elapsed_s=float(second), changed=second == seconds.start) for second in seconds]


def test_a_sign_in_that_stands_still_settles_the_boot() -> None:
    assert watched(*still(LOGIN, range(10, 14))).state is ConsoleState.SIGN_IN


def test_a_sign_in_seen_once_settles_nothing() -> None:
    assert watched(*still(LOGIN, range(10, 12))).state is ConsoleState.ACTIVE


def test_a_sign_in_that_scrolled_away_settles_nothing() -> None:
    following = watched(*still(LOGIN, range(10, 12)), *still(BOOTING, range(12, 30)))
    assert following.state is ConsoleState.BOOTING


def test_waiting_for_a_sign_in_starts_again_after_a_change() -> None:
    looks = [*still(LOGIN, range(10, 12)), *still(BOOTING, range(12, 13)), *still(LOGIN, range(13, 15))]
    assert watched(*looks).state is ConsoleState.ACTIVE


def test_a_sign_in_on_a_restless_console_settles_after_a_longer_while() -> None:
    looks = [Look(elapsed_s=float(second), changed=True, reading=LOGIN) for second in range(41)]
    assert watched(*looks[:30]).state is ConsoleState.ACTIVE
    assert watched(*looks).state is ConsoleState.SIGN_IN


def test_a_reset_forgets_what_was_on_the_console() -> None:
    looks = [*still(LOGIN, range(10, 12)), *still(LOGIN, range(12, 14), resets=1)]
    assert watched(*looks).state is ConsoleState.ACTIVE


def test_a_panic_ends_the_watch_even_while_it_goes_on_printing() -> None:
    looks = [Look(elapsed_s=float(second), changed=True, reading=PANIC) for second in range(5)]
    assert watched(*looks).state is ConsoleState.PANIC


def test_the_first_resets_are_allowed_and_the_third_is_a_loop() -> None:
    two = [Look(elapsed_s=float(count), changed=True, reading=BOOTING, resets=count) for count in range(3)]
    assert not watched(*two).ended
    assert watched(*two, Look(elapsed_s=9, changed=True, reading=BOOTING, resets=3)).state is ConsoleState.RESET_LOOP


def test_a_machine_that_is_off_is_powered_off_whatever_its_last_picture_says() -> None:
    off = Look(elapsed_s=20, changed=False, reading=LOGIN, running=False, end_reason="guest shutdown")
    following = watched(*still(LOGIN, range(10, 12)), off)
    assert (following.state, following.end_reason) == (ConsoleState.POWERED_OFF, "guest shutdown")


def test_a_watch_that_ended_stays_as_it_is() -> None:
    ended = watched(*still(PANIC, range(10, 20)))
    assert after_look(ended, Look(elapsed_s=99, changed=True, reading=LOGIN), LIMITS) is ended


def test_nothing_at_all_for_the_patience_is_a_stall() -> None:
    assert not watched(*still(BOOTING, range(60))).ended
    assert watched(*still(BOOTING, range(61))).state is ConsoleState.TIMED_OUT


def test_reading_from_disk_keeps_the_patience_up() -> None:
    looks = [replace(look, disk_reads=int(look.elapsed_s) * 50) for look in still(BOOTING, range(300))]
    assert not watched(*looks).ended


def test_processor_time_alone_keeps_the_patience_up_only_for_a_while() -> None:
    looks = [replace(look, cpu_s=look.elapsed_s) for look in still(BOOTING, range(241))]
    assert not watched(*looks[:-1]).ended
    assert watched(*looks).state is ConsoleState.TIMED_OUT


def test_a_boot_loader_that_polls_its_keyboard_at_full_speed_is_stuck_all_the_same() -> None:
    menu = classify("GNU GRUB  version 2.06")
    looks = [replace(look, cpu_s=look.elapsed_s) for look in still(menu, range(61))]
    assert watched(*looks).state is ConsoleState.BOOT_LOADER_STUCK


def test_the_hard_limit_ends_a_boot_that_makes_progress_for_ever() -> None:
    looks = [Look(elapsed_s=float(second), changed=True, reading=BOOTING) for second in range(901)]
    assert not watched(*looks[:-1]).ended
    assert watched(*looks).state is ConsoleState.TIMED_OUT


def test_a_dark_console_is_woken_and_then_given_up() -> None:
    following, woken = BootWatch(), []
    for look in still(NOTHING, range(61)):
        following = after_look(following, look, LIMITS)
        if following.wake_wanted:
            woken.append(look.elapsed_s)
    assert woken == [20.0, 40.0]
    assert following.state is ConsoleState.STAYED_BLANK


@pytest.mark.parametrize("reading", [NOTHING, BOOTING, PANIC, classify("some words")])
def test_no_console_without_a_prompt_ever_settles(reading: object) -> None:
    following = watched(*still(reading, range(1000)))
    assert following.state not in (ConsoleState.SIGN_IN, ConsoleState.DESKTOP, ConsoleState.CONSOLE)
