"""What consoles say, as data: one rule for each kind of screen, the most telling first.

The order matters, because old text stays on a console: a boot loader's line above a kernel's message is history.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from domain.model.verdicts import ConsoleState

_PROMPT_END = r"\s*[_\W]{0,3}$"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhraseRule:
    """A screen is ``state`` when every phrase of one of the groups is on it, give or take misread letters."""

    name: str
    state: ConsoleState
    groups: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRule:
    """A screen is ``state`` when at least ``count_min`` lines match ``pattern``.

    ``at_end``: only the last line counts, or one that nothing but kernel messages and specks follow.
    """

    name: str
    state: ConsoleState
    pattern: re.Pattern[str]
    at_end: bool = False
    count_min: int = 1


ScreenRule = PhraseRule | LineRule

KERNEL_MESSAGE = re.compile(r"^\W{0,2}[\[(cCL]?\s*\d{1,6}[.,]\s?\d{3,8}\s?[\])1lJI]?\s*\S")


def _any_of(name: str, state: ConsoleState, *phrases: str) -> PhraseRule:
    return PhraseRule(name=name, state=state, groups=tuple((phrase,) for phrase in phrases))


def _all_of(name: str, state: ConsoleState, *phrases: str) -> PhraseRule:
    return PhraseRule(name=name, state=state, groups=(phrases,))


def _line_at_end(name: str, state: ConsoleState, pattern: str) -> LineRule:
    return LineRule(name=name, state=state, pattern=re.compile(pattern, re.IGNORECASE), at_end=True)


SCREEN_RULES: tuple[ScreenRule, ...] = (
    _any_of("display not started", ConsoleState.BLANK, "Guest has not initialized the display"),
    _any_of(
        "Linux kernel panic",
        ConsoleState.PANIC,
        "Kernel panic - not syncing",
        "end Kernel panic",
        "systemd: Freezing execution",
    ),
    _any_of(
        "Windows stop screen",
        ConsoleState.STOP_SCREEN,
        "Your PC ran into a problem",
        "Your device ran into a problem",
        "A problem has been detected and Windows has been shut down",
        "INACCESSIBLE_BOOT_DEVICE",
        "KMODE_EXCEPTION_NOT_HANDLED",
        "CRITICAL_PROCESS_DIED",
        "PAGE_FAULT_IN_NONPAGED_AREA",
        "UNMOUNTABLE_BOOT_VOLUME",
        "For more information about this issue and possible fixes",
    ),
    _line_at_end(
        "Linux sign-in prompt",
        ConsoleState.SIGN_IN,
        r"^(?!.*\b(?:last|failed)\b)\W?(?:\S{1,64}\s+){1,3}[l1I|]\s?[o0]g[il1|!]n\s*[:;.]"
        rf"(?:{_PROMPT_END}|\s*[\[(c]\s*\d)",
    ),
    _any_of(
        "Windows recovery",
        ConsoleState.RECOVERY_ENVIRONMENT,
        "Automatic Repair couldn't repair your PC",
        "Your PC did not start correctly",
        "Your device did not start correctly",
        "Startup Repair cannot repair this computer automatically",
        "It looks like Windows didn't load correctly",
        "See advanced repair options",
        "System Recovery Options",
        "Enter the recovery key for this drive",
        "Choose your keyboard layout",
    ),
    _all_of("Windows recovery menu", ConsoleState.RECOVERY_ENVIRONMENT, "Choose an option", "Troubleshoot"),
    _any_of(
        "Windows sign-in",
        ConsoleState.SIGN_IN,
        "Press Ctrl+Alt+Delete to unlock",
        "Press Ctrl+Alt+Delete to sign in",
        "Press Ctrl+Alt+Delete to log on",
        "Press Ctrl+Alt+Del to unlock",
        "Sign-in options",
        "I forgot my password",
        "I forgot my PIN",
    ),
    _any_of(
        "Linux emergency shell",
        ConsoleState.EMERGENCY_SHELL,
        "You are in emergency mode",
        "You are in rescue mode",
        "Give root password for maintenance",
        "Cannot open access to console, the root account is locked",
        "Gave up waiting for root file system device",
        "Entering emergency mode",
        "BusyBox built-in shell (ash)",
        "UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY",
        "Failed to mount the real root device",
        "does not exist. Dropping to a shell",
    ),
    _line_at_end(
        "Linux initramfs prompt",
        ConsoleState.EMERGENCY_SHELL,
        rf"^\W?\s*(?:.?[il1|]n[il1|]tramfs.|dracut:/\S*[#$]|s?h-\d\.\d+[#$])\s*[#$>]?{_PROMPT_END}",
    ),
    _any_of(
        "boot loader error",
        ConsoleState.BOOT_LOADER_STUCK,
        "grub rescue>",
        "Entering rescue mode",
        "Minimal BASH-like line editing is supported",
        "you need to load the kernel first",
        "BOOTMGR is missing",
        "BOOTMGR is compressed",
        "BOOTMGR image is corrupt",
        "NTLDR is missing",
        "Boot Configuration Data for your PC is missing",
        "Boot Configuration Data file is missing",
        "Windows failed to start. A recent hardware or software change",
        "Your PC/Device needs to be repaired",
        "No configuration file found",
        "No DEFAULT or UI configuration directive found",
        "Could not find kernel image",
        "Failed to load ldlinux.c32",
        "failed: No such file or directory boot:",
        "A disk read error occurred",
        "Error loading operating system",
        "Invalid partition table",
    ),
    _all_of("boot loader error", ConsoleState.BOOT_LOADER_STUCK, "not found", "Press any key to continue"),
    _line_at_end("boot loader error", ConsoleState.BOOT_LOADER_STUCK, rf"^\W?(?:boot error|grub\s?>){_PROMPT_END}"),
    _line_at_end(
        "Linux shell prompt",
        ConsoleState.CONSOLE,
        rf"^\W?\[?[a-z_][\w.-]{{0,31}}@[\w.-]{{1,64}}[:;\s]\s?[^#$]{{0,80}}[#$]{_PROMPT_END}",
    ),
    _line_at_end("Windows command prompt", ConsoleState.CONSOLE, rf"^(?:PS )?[A-Z]:[\\/][^>]{{0,80}}>{_PROMPT_END}"),
    _any_of("Windows Server configuration menu", ConsoleState.CONSOLE, "Enter number to select an option"),
    _any_of(
        "firmware without a boot device",
        ConsoleState.NO_BOOT_DEVICE,
        "No bootable device",
        "No bootable option or device was found",
        "No operating system was loaded",
        "The boot loader did not load an operating system",
        "Operating System not found",
        "Missing operating system",
        "Non-System disk or disk error",
        "This is not a bootable disk",
        "Reboot and Select proper Boot device",
        "UEFI Interactive Shell",
        "Boot Maintenance Manager",
    ),
    _any_of("Windows desktop", ConsoleState.DESKTOP, "Recycle Bin", "Type here to search"),
    _all_of("Windows desktop", ConsoleState.DESKTOP, "Server Manager", "Dashboard"),
    _any_of(
        "Windows on its way",
        ConsoleState.BOOTING,
        "Getting devices ready",
        "Getting Windows ready",
        "Getting ready",
        "Working on updates",
        "Working on features",
        "Applying update operation",
        "Applying computer settings",
        "Undoing changes made to your computer",
        "Don't turn off your computer",
        "Please wait for the",
        "Preparing Automatic Repair",
        "Diagnosing your PC",
        "Attempting repairs",
        "Scanning and repairing drive",
        "Checking file system on",
        "Starting Windows",
        "Windows is loading files",
    ),
    LineRule(
        name="Linux kernel messages",
        state=ConsoleState.BOOTING,
        pattern=re.compile(KERNEL_MESSAGE.pattern),
        count_min=2,
    ),
    _any_of(
        "Linux on its way",
        ConsoleState.BOOTING,
        "Loading initial ramdisk",
        "Decompressing Linux",
        "EFI stub: Loaded initrd",
        "A start job is running for",
        "A stop job is running for",
        "Begin: Running /scripts",
        "Begin: Mounting root file system",
        "Reached target",
        "recovering journal",
    ),
    LineRule(
        name="boot loader handed over",
        state=ConsoleState.BOOTING,
        pattern=re.compile(r"^\W?Booting\s+[`'\"‘’“”]\S"),
    ),
    LineRule(
        name="Linux file system check",
        state=ConsoleState.BOOTING,
        pattern=re.compile(r"clean,?\s+\S+/\S+\s+files,?\s+\S+/\S+\s+blocks", re.IGNORECASE),
    ),
    LineRule(
        name="Linux services starting",
        state=ConsoleState.BOOTING,
        pattern=re.compile(
            r"^\W?[\[(cC]?\s{0,3}OK\s{0,3}[\])1lIJ]{0,2}\s+(?:Started|Reached|Finished|Mounted|Listening)"
        ),
    ),
    _any_of(
        "boot loader",
        ConsoleState.BOOT_LOADER,
        "GNU GRUB version",
        "The highlighted entry will be executed automatically",
        "Use the arrow keys to select which entry is highlighted",
        "GRUB loading",
        "Welcome to GRUB",
        "Booting a command list",
        "Windows Boot Manager",
        "Windows Error Recovery",
        "Choose an operating system to start",
        "Reboot Into Firmware Interface",
        "SYSLINUX EDD",
        "EXTLINUX EDD",
        "Automatic boot in",
        "Booting from Hard Disk",
    ),
    _line_at_end("boot loader prompt", ConsoleState.BOOT_LOADER, rf"^\W?boot\s?[:;]{_PROMPT_END}"),
    _any_of(
        "firmware",
        ConsoleState.FIRMWARE,
        "SeaBIOS (version",
        "TianoCore",
        "BdsDxe: loading",
        "BdsDxe: starting",
        "BdsDxe: failed to load",
        "Start PXE over IPv4",
        "Start PXE over IPv6",
        "Start HTTP Boot over",
        "PXE Network Boot using",
        "Press F2 to enter Setup",
        "Press ESC for boot menu",
    ),
)
