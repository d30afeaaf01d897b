"""The word, the grade and the reasons; what is never called booted."""

from __future__ import annotations

import pytest

from domain.model.extents import Extent
from domain.model.verdicts import ConsoleState, Grade, VerdictWord
from domain.ports.guests import DiskFinding, VolumeFinding
from verification.boot_table import ENDS, Sign
from verification.boot_watch import SETTLED_ENDS, BootStep
from verification.lab_run import BootRecord
from verification.verdict import DataCheck, judge

SOUND_DATA = DataCheck(chunks=7, size_bytes=7 << 16, complete=True)


def disk(*readable: bool | None, table: str = "gpt") -> DiskFinding:
    return DiskFinding(
        partition_table=table,
        volumes=tuple(
            VolumeFinding(
                number=number, extent=Extent(offset=0, length=1), file_system="ext4", readable=state, remark=""
            )
            for number, state in enumerate(readable, start=1)
        ),
    )


def boot(state: ConsoleState, *way: ConsoleState) -> BootRecord:
    return BootRecord(
        state=state,
        settled_s=38.0 if state in SETTLED_ENDS else None,
        watched_s=41.0,
        accelerator="tcg",
        frame=None,
        reel=(),
        text="",
        evidence="<b>guest</b>",
        rule="",
        steps=tuple(BootStep(elapsed_s=1.0, state=each, sign=Sign.OTHER) for each in way),
        glimpses=(),
        resets=0,
        keys_pressed=0,
        end_reason="",
    )


@pytest.mark.parametrize("state", SETTLED_ENDS)
def test_a_settled_boot_of_sound_data_is_booted(state: ConsoleState) -> None:
    verdict = judge(data=SOUND_DATA, disks=[disk(True)], boot=boot(state))
    assert (verdict.word, verdict.grade, verdict.boot_s) == (VerdictWord.BOOTED, Grade.BOOT, 38.0)


@pytest.mark.parametrize("state", [state for state in ConsoleState if state not in SETTLED_ENDS])
def test_nothing_else_is_ever_booted(state: ConsoleState) -> None:
    verdict = judge(data=SOUND_DATA, disks=[disk(True)], boot=boot(state))
    assert verdict.word is not VerdictWord.BOOTED
    assert verdict.grade is Grade.FILE_SYSTEMS
    assert verdict.boot_s is None


def test_a_boot_from_damaged_data_is_failed() -> None:
    damaged = DataCheck(chunks=7, size_bytes=7, complete=True, damage=("Chunk 3 is not what was written.",))
    verdict = judge(data=damaged, disks=[disk(True)], boot=boot(ConsoleState.SIGN_IN))
    assert (verdict.word, verdict.grade) == (VerdictWord.FAILED, Grade.NOTHING)
    assert verdict.reasons[:2] == ("It booted, but not all of it is sound:", "Chunk 3 is not what was written.")


def test_a_boot_beside_a_destroyed_data_disk_is_undecided_and_says_which() -> None:
    verdict = judge(data=SOUND_DATA, disks=[disk(True), disk(False)], boot=boot(ConsoleState.SIGN_IN))
    assert (verdict.word, verdict.grade) == (VerdictWord.UNDECIDED, Grade.STRUCTURE)
    assert any("Disk 1, volume 1" in reason for reason in verdict.reasons)


def test_a_damaged_partition_table_stops_the_grade_at_the_data() -> None:
    verdict = judge(data=SOUND_DATA, disks=[disk(table="damaged")], boot=boot(ConsoleState.NO_BOOT_DEVICE))
    assert (verdict.word, verdict.grade) == (VerdictWord.FAILED, Grade.DATA)


def test_data_that_was_not_all_read_proves_no_grade_and_is_listed() -> None:
    partly = DataCheck(chunks=3, size_bytes=3, complete=False)
    verdict = judge(data=partly, disks=[disk(True)], boot=boot(ConsoleState.SIGN_IN))
    assert verdict.grade is Grade.NOTHING
    assert "Not all stored data was read back." in verdict.not_proven


def test_a_volume_that_atesta_cannot_read_is_listed_as_not_proven() -> None:
    verdict = judge(data=SOUND_DATA, disks=[disk(True, None)], boot=boot(ConsoleState.SIGN_IN))
    assert verdict.word is VerdictWord.BOOTED
    assert any("Disk 0, volume 2" in point for point in verdict.not_proven)


def test_a_console_that_goes_dark_after_the_system_began_to_start_is_undecided() -> None:
    began = boot(ConsoleState.STAYED_BLANK, ConsoleState.BOOT_LOADER, ConsoleState.BOOTING, ConsoleState.BLANK)
    never = boot(ConsoleState.STAYED_BLANK, ConsoleState.BOOT_LOADER, ConsoleState.BLANK)
    assert judge(data=SOUND_DATA, disks=[disk(True)], boot=began).word is VerdictWord.UNDECIDED
    assert judge(data=SOUND_DATA, disks=[disk(True)], boot=never).word is VerdictWord.FAILED


@pytest.mark.parametrize("booted", [None, boot(ConsoleState.TIMED_OUT), boot(ConsoleState.PANIC)])
def test_damaged_data_is_failed_whether_it_was_booted_or_not(booted: BootRecord | None) -> None:
    damaged = DataCheck(chunks=7, size_bytes=7, complete=False, damage=("Chunk 3 is not what was written.",))
    verdict = judge(data=damaged, disks=[], boot=booted)
    assert (verdict.word, verdict.grade) == (VerdictWord.FAILED, Grade.NOTHING)
    assert verdict.reasons[0] == "Chunk 3 is not what was written."


def test_a_point_that_was_not_booted_is_undecided() -> None:
    verdict = judge(data=SOUND_DATA, disks=[disk(True)], boot=None)
    assert (verdict.word, verdict.grade) == (VerdictWord.UNDECIDED, Grade.FILE_SYSTEMS)


@pytest.mark.parametrize("state", ENDS)
def test_every_verdict_says_what_it_did_not_prove_and_quotes_no_guest(state: ConsoleState) -> None:
    verdict = judge(data=SOUND_DATA, disks=[disk(True)], boot=boot(state))
    assert len(verdict.not_proven) >= 4
    assert verdict.reasons
    assert "<b>" not in "".join((*verdict.reasons, *verdict.not_proven))


def test_a_guessed_desktop_is_called_a_guess() -> None:
    verdict = judge(data=SOUND_DATA, disks=[disk(True)], boot=boot(ConsoleState.DESKTOP))
    assert any("guessed" in point for point in verdict.not_proven)
