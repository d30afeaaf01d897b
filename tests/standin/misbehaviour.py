"""What a stand-in host can be told to do wrong, by name."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

ALWAYS = 1 << 30


class Misbehaviour(StrEnum):
    """Each is something that hosts do, as the facts in docs/stand-in.md say."""

    VSS_FAILS = "vss-fails"
    """A checkpoint of level 1 fails, because a writer in the guest does."""
    CHECKPOINT_FAILS = "checkpoint-fails"
    """A checkpoint of either level fails."""
    CHECKPOINT_REFUSED = "checkpoint-refused"
    """CreateSnapshot gives 32775 at once."""
    CONVERSION_FAILS = "conversion-fails"
    """The job of ConvertToReferencePoint fails; the checkpoint stays."""
    CONVERSION_REFUSED = "conversion-refused"
    """ConvertToReferencePoint gives 32775 at once."""
    DESTROY_REFUSED = "destroy-refused"
    """DestroySnapshot and DestroyReferencePoint give 32774."""
    DESTROY_FAILS = "destroy-fails"
    """The job of DestroySnapshot or DestroyReferencePoint fails."""
    AFFECTED_UNTOLD = "affected-untold"
    """A job does not tell what it made."""
    JOB_FORGOTTEN = "job-forgotten"
    """A job is done and unknown at the first look."""
    JOB_WARNS = "job-warns"
    """A job ends in 32768, completed with warnings."""
    JOB_HANGS = "job-hangs"
    """A job stays at 10 %."""
    AT_ONCE = "at-once"
    """A call that makes or destroys something is done when it returns: 0 instead of 4096."""
    MERGE_NEVER_ENDS = "merge-never-ends"
    """Disks stay in the merging state."""
    MERGE_FAILS = "merge-fails"
    """Merging stops without being done (event 19100): the differencing disks stay."""
    ARRAYS_DIFFER = "arrays-differ"
    """A reference point has fewer tracking ids than disks."""
    CHANGES_FILE_MISSING = "changes-file-missing"
    """GetVirtualDiskChanges gives 32779."""
    CHANGES_AS_JOB = "changes-as-job"
    """GetVirtualDiskChanges gives 4096."""
    CHANGES_FAIL = "changes-fail"
    """GetVirtualDiskChanges gives 32768."""
    CHANGES_STAND_STILL = "changes-stand-still"
    """GetVirtualDiskChanges processes nothing."""
    CHANGES_IN_PIECES = "changes-in-pieces"
    """GetVirtualDiskChanges processes at most 1 MiB of the window at a time."""
    START_FAILS = "start-fails"
    """A machine does not start."""
    SAVE_FAILS = "save-fails"
    """A machine does not save its state."""


class Misbehaviours:
    """Which are switched on, and how often each will happen."""

    def __init__(self) -> None:
        self._left: Counter[Misbehaviour] = Counter()

    def switch_on(self, what: Misbehaviour, *, times: int = ALWAYS) -> None:
        self._left[what] = times

    def switch_off(self, what: Misbehaviour) -> None:
        del self._left[what]

    def happens(self, what: Misbehaviour) -> bool:
        """Whether it happens now; counts."""
        if self._left[what] <= 0:
            return False
        self._left[what] -= 1
        return True
