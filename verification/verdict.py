"""Judging a verification: how far the proof reaches, why, and what it did not look at.

Each grade includes the ones before it, so a machine that boots from a store with a damaged chunk is not BOOTED. The
reasons are Atesta's own words and never quote the guest; what the console said is shown beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from domain.model.verdicts import ConsoleState, Grade, Verdict, VerdictWord
from domain.ports.guests import DiskFinding
from verification.lab_run import BootRecord

_WORD_OF_END: Mapping[ConsoleState, VerdictWord] = MappingProxyType(
    {
        ConsoleState.SIGN_IN: VerdictWord.BOOTED,
        ConsoleState.DESKTOP: VerdictWord.BOOTED,
        ConsoleState.CONSOLE: VerdictWord.BOOTED,
        ConsoleState.STOP_SCREEN: VerdictWord.FAILED,
        ConsoleState.PANIC: VerdictWord.FAILED,
        ConsoleState.NO_BOOT_DEVICE: VerdictWord.FAILED,
        ConsoleState.BOOT_LOADER_STUCK: VerdictWord.FAILED,
        ConsoleState.EMERGENCY_SHELL: VerdictWord.FAILED,
        ConsoleState.RECOVERY_ENVIRONMENT: VerdictWord.FAILED,
        ConsoleState.RESET_LOOP: VerdictWord.FAILED,
        ConsoleState.POWERED_OFF: VerdictWord.FAILED,
        ConsoleState.STAYED_BLANK: VerdictWord.FAILED,
        ConsoleState.TIMED_OUT: VerdictWord.UNDECIDED,
    }
)

MEANING_OF_END: Mapping[ConsoleState, str] = MappingProxyType(
    {
        ConsoleState.SIGN_IN: "The guest started and asks for a sign-in.",
        ConsoleState.DESKTOP: "The guest started and shows a desktop.",
        ConsoleState.CONSOLE: "The guest started and waits at a command prompt.",
        ConsoleState.STOP_SCREEN: "Windows stopped with an error (stop screen).",
        ConsoleState.PANIC: "The Linux kernel stopped with a panic.",
        ConsoleState.NO_BOOT_DEVICE: "The firmware found nothing to boot from.",
        ConsoleState.BOOT_LOADER_STUCK: "The boot loader started but did not start the operating system.",
        ConsoleState.EMERGENCY_SHELL: "The operating system gave up in an emergency shell.",
        ConsoleState.RECOVERY_ENVIRONMENT: "Windows started its recovery environment instead of the system.",
        ConsoleState.RESET_LOOP: "The guest resets again and again.",
        ConsoleState.POWERED_OFF: "The machine switched itself off.",
        ConsoleState.STAYED_BLANK: "The console stayed blank, although a key was pressed.",
        ConsoleState.TIMED_OUT: "The boot reached no end that Atesta can tell.",
    }
)

_BEYOND_BLANK = (ConsoleState.BOOTING, ConsoleState.ACTIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCheck:
    """What rereading the restore point's data showed.

    ``complete``: every chunk of the point was read and compared with its digest. ``damage`` has one sentence for each
    thing that is wrong, in Atesta's words.
    """

    chunks: int
    size_bytes: int
    complete: bool
    damage: tuple[str, ...] = ()


def judge(*, data: DataCheck, disks: Sequence[DiskFinding], boot: BootRecord | None) -> Verdict:
    """Judge from the data check, what each disk looks like (in the machine's order), and the boot, if there was one."""
    faults = list(data.damage) or _structure_faults(disks) or _file_system_faults(disks)
    grade = _grade_without_boot(data, disks)
    state = boot.state if boot is not None else ConsoleState.BLANK
    word = _boot_word(boot)
    reasons = _boot_reasons(boot)
    if faults and word is VerdictWord.BOOTED:
        word = VerdictWord.FAILED if data.damage else VerdictWord.UNDECIDED
        reasons = ["It booted, but not all of it is sound:", *faults, *reasons]
    elif data.damage:
        word = VerdictWord.FAILED
        reasons = [*faults, *reasons]
    else:
        reasons += faults
        grade = Grade.BOOT if word is VerdictWord.BOOTED and grade is Grade.FILE_SYSTEMS else grade
    return Verdict(
        word=word,
        grade=grade,
        console_state=state,
        reasons=(*reasons, *_what_is_sound(data, disks, grade)),
        not_proven=_not_proven(data, disks, boot, word),
        boot_s=boot.settled_s if boot is not None else None,
    )


def _boot_word(boot: BootRecord | None) -> VerdictWord:
    if boot is None:
        return VerdictWord.UNDECIDED
    if boot.state is ConsoleState.STAYED_BLANK and _went_dark_after_booting(boot):
        return VerdictWord.UNDECIDED
    return _WORD_OF_END.get(boot.state, VerdictWord.UNDECIDED)


def _boot_reasons(boot: BootRecord | None) -> list[str]:
    if boot is None:
        return ["It was not booted."]
    reasons = [MEANING_OF_END.get(boot.state, "The watch ended before the boot did.")]
    if boot.settled_s is not None:
        reasons.append(f"Its console settled {boot.settled_s:.0f} s after power-on.")
    elif boot.state is ConsoleState.TIMED_OUT:
        reasons.append(f"It was watched for {boot.watched_s:.0f} s; the last thing seen was: {_furthest(boot)}.")
    elif boot.state is ConsoleState.STAYED_BLANK and _went_dark_after_booting(boot):
        reasons.append("It went dark after the operating system had begun to start; it may run without a console.")
    elif boot.state is ConsoleState.RESET_LOOP:
        reasons.append(f"{boot.resets} resets in {boot.watched_s:.0f} s.")
    if boot.state in (ConsoleState.RESET_LOOP, ConsoleState.POWERED_OFF) and boot.glimpses:
        reasons.append(f"Before that the console showed: {boot.glimpses[-1].state.value}.")
    return reasons


def _went_dark_after_booting(boot: BootRecord) -> bool:
    return any(step.state in _BEYOND_BLANK for step in boot.steps)


def _furthest(boot: BootRecord) -> str:
    seen = [step.state for step in boot.steps if step.state is not ConsoleState.TIMED_OUT]
    if not seen:
        return "nothing"
    return "something that Atesta does not know" if seen[-1] is ConsoleState.ACTIVE else seen[-1].value


def _grade_without_boot(data: DataCheck, disks: Sequence[DiskFinding]) -> Grade:
    if not data.complete or data.damage:
        return Grade.NOTHING
    if not disks or _structure_faults(disks):
        return Grade.DATA
    return Grade.STRUCTURE if _file_system_faults(disks) else Grade.FILE_SYSTEMS


def _structure_faults(disks: Sequence[DiskFinding]) -> list[str]:
    return [
        f"Disk {number}: its partition table is damaged."
        for number, disk in enumerate(disks)
        if disk.partition_table == "damaged"
    ]


def _file_system_faults(disks: Sequence[DiskFinding]) -> list[str]:
    return [
        f"Disk {number}, volume {volume.number}: its file system ({volume.file_system}) cannot be walked."
        for number, disk in enumerate(disks)
        for volume in disk.volumes
        if volume.readable is False
    ]


def _what_is_sound(data: DataCheck, disks: Sequence[DiskFinding], grade: Grade) -> list[str]:
    sound = []
    if grade >= Grade.DATA:
        sound.append(f"All {data.chunks} chunks of its data were read back and are what was written.")
    if grade >= Grade.STRUCTURE:
        sound.append(
            f"The partition tables of all {len(disks)} disks are sound."
            if len(disks) > 1
            else "The partition table is sound."
        )
    readable = sum(volume.readable is True for disk in disks for volume in disk.volumes)
    if grade >= Grade.FILE_SYSTEMS and readable:
        sound.append(f"{readable} file {'system' if readable == 1 else 'systems'} could be walked.")
    return sound


def _not_proven(
    data: DataCheck, disks: Sequence[DiskFinding], boot: BootRecord | None, word: VerdictWord
) -> tuple[str, ...]:
    open_points: list[str] = []
    if not data.complete:
        open_points.append("Not all stored data was read back.")
    open_points += [
        f"Disk {number}, volume {volume.number}: Atesta cannot look into this kind of content ({volume.file_system})."
        for number, disk in enumerate(disks)
        for volume in disk.volumes
        if volume.readable is None and volume.file_system != "swap"
    ]
    if word is VerdictWord.BOOTED and boot is not None:
        if boot.state is ConsoleState.DESKTOP:
            open_points.append("That it is a desktop was guessed from words on the picture.")
        open_points.append("Nobody signed in; the prompt was read from the picture of the console.")
    else:
        open_points.append("That the machine comes back.")
    open_points += [
        "Services and applications were not asked; the lab has no heartbeat from the guest.",
        "The network was not tested: the lab has no uplink.",
        "Files were not compared one by one; applications' own consistency checks were not run.",
    ]
    if boot is not None:
        open_points.append(f"It ran on the lab's virtual hardware ({boot.accelerator}), not on Hyper-V's.")
    return tuple(open_points)
