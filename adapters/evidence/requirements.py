"""What auditors ask for about backups, and how far a bundle answers it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Requirement:
    """A place in a standard or law, what it asks for in short, and what of the bundle speaks to it."""

    where: str
    asks: str
    answered_by: str


REQUIREMENTS = (
    Requirement(
        "ISO/IEC 27001:2022, A.8.13",
        "Backups are kept and regularly tested.",
        "All backups and restore tests of the period, with results, failures and what mended them.",
    ),
    Requirement(
        "SOC 2, A1.3",
        "Recovery plan procedures are tested.",
        "Each verification recovers the machine from the repository and boots it; times and results are shown.",
    ),
    Requirement(
        "DORA (EU) 2022/2554, art. 12",
        "Backup and restoration are tested periodically; recovery time objectives are set and met.",
        "Restore tests with measured recovery times, against targets where targets are set.",
    ),
    Requirement(
        "NIS2 (EU) 2022/2555, art. 21(2)(c)",
        "Business continuity, such as backup management and disaster recovery.",
        "Operation of backup management over the period, failures included.",
    ),
    Requirement(
        "HIPAA, 45 CFR 164.308(a)(7)",
        "A data backup plan, and testing of contingency plans.",
        "Retrievable exact copies were made and tested, machine by machine.",
    ),
)

NOT_COVERED = (
    "It speaks of the machines that Atesta backs up. Whether those are all that must be backed up, it cannot know.",
    "It proves that a machine came up in an isolated lab, not that its applications or their data were right.",
    "It says nothing of plans, responsibilities, suppliers, retention duties, sites or people.",
    "The clock is that of the machine that runs Atesta. Order and completeness are proven, the hour is not.",
    "Whether the log was rewritten before its head was signed, only a head that was kept elsewhere can show.",
    "Pictures are scaled down; that they show the originals is the word of whoever sealed the bundle.",
)
