"""The report that is mailed after a verification: one word, one picture, the figures, and what was not proven."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.content.entry_proof import EntryProof, proof_text
from domain.model.sizes import size
from domain.model.verdicts import ConsoleState, Grade, Verdict, VerdictWord
from domain.ports.guests import DiskFinding, VolumeFinding
from domain.ports.mail import InlinePicture, OutgoingMail, TextAttachment
from verification.report_page import DiskRow, Figure, ReportPage, Rung, page_html, page_text
from verification.untrusted_text import cleaned_line, cleaned_lines
from verification.wording import duration, moment

PROOF_FILE = "proof.txt"
_SUBJECT_LENGTH_MAX = 110
_NAME_LENGTH_MAX = 40
_PAGE_NAME_LENGTH_MAX = 80
_SENTENCE_LENGTH_MAX = 300
_CONSOLE_LINES_MAX = 25
_VOLUMES_SHOWN_MAX = 20
_DISKS_SHOWN_MAX = 64

_TONES = {VerdictWord.BOOTED: "good", VerdictWord.FAILED: "bad", VerdictWord.UNDECIDED: "open"}
_RUNGS = {
    Grade.DATA: "data",
    Grade.STRUCTURE: "structure",
    Grade.FILE_SYSTEMS: "file systems",
    Grade.BOOT: "boot",
    Grade.HEARTBEAT: "heartbeat",
    Grade.SERVICE: "service",
    Grade.APPLICATION: "application",
}
_DESTINATIONS = {ConsoleState.CONSOLE: "command prompt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedDisk:
    """A disk of the verified machine: ``finding`` is None when it was not examined; ``name`` is untrusted."""

    name: str
    size_bytes: int
    finding: DiskFinding | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFigures:
    """What the backup that made the restore point did, in bytes; ``compressed_bytes`` is what the new data became."""

    read_bytes: int
    new_bytes: int
    deduplicated_bytes: int
    compressed_bytes: int
    excluded_bytes: int
    kind: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationReport:
    """Everything that a verification's mail says.

    Times carry the zone in which they are to be shown. ``machine_name``, ``console_text``, ``evidence`` and all that
    stands in ``disks`` are untrusted. ``redacted``: the picture was made unreadable on purpose, so the console's text
    stays out of the mail as well. ``signed_head`` is the event log's signed head as text, a witness in every mailbox;
    ``proofs`` show what is under that head, the verdict last. ``overrides`` are what persons said against verdicts of
    this machine since its last report.
    """

    machine_name: str
    point_id: str
    point_taken_at: datetime
    verified_at: datetime
    verdict: Verdict
    restore_s: float | None
    accelerator: str
    disks: tuple[ReportedDisk, ...]
    repository_name: str
    console_text: str = ""
    evidence: str = ""
    picture_png: bytes | None = None
    reel_gif: bytes | None = None
    backup: BackupFigures | None = None
    redacted: bool = False
    signed_head: str = ""
    overrides: tuple[str, ...] = ()
    proofs: tuple[EntryProof, ...] = ()


def report_mails(
    report: VerificationReport, *, key: str, sender: str, recipients: Sequence[str]
) -> tuple[OutgoingMail, ...]:
    """One mail for each recipient; ``key`` names the verification (file-name safe) and stays the same when repeated.

    Raises BadInputError for a key or an address that is none.
    """
    pictures = _pictures(report, key)
    page = _page(report, pictures)
    html, text = page_html(page), page_text(page)
    return tuple(
        OutgoingMail(
            key=f"{key}.{hashlib.sha256(recipient.encode()).hexdigest()[:12]}",
            sender=sender,
            recipient=recipient,
            subject=page.title,
            text=text,
            html=html,
            pictures=pictures,
            written_at=report.verified_at,
            attachments=_attachments(report),
        )
        for recipient in dict.fromkeys(recipients)
    )


def report_subject(report: VerificationReport) -> str:
    """The subject: the word, the machine, the point and the outcome, on one line of at most 110 characters."""
    taken = moment(report.point_taken_at, with_year=False)
    name = _name(report, _NAME_LENGTH_MAX)
    return cleaned_line(
        f"[{report.verdict.word.value}] {name} - {taken} point, {outcome(report.verdict)}", _SUBJECT_LENGTH_MAX
    )


def outcome(verdict: Verdict) -> str:
    """How it ended, in a few words: ``38 s to sign-in``, ``kernel panic``."""
    state = verdict.console_state
    if verdict.boot_s is not None and verdict.word is VerdictWord.BOOTED:
        return f"{duration(verdict.boot_s)} to {_DESTINATIONS.get(state, state.value)}"
    if verdict.boot_s is not None:
        return "booted, but not all of it is sound"
    if verdict.grade is Grade.NOTHING and verdict.word is VerdictWord.FAILED:
        return "stored data is damaged"
    return "not booted" if state is ConsoleState.BLANK else state.value


def _page(report: VerificationReport, pictures: tuple[InlinePicture, ...]) -> ReportPage:
    verdict = report.verdict
    urls = {picture.subtype: f"cid:{picture.content_id}" for picture in pictures}
    ending = verdict.console_state.value
    return ReportPage(
        title=report_subject(report),
        word=verdict.word.value,
        tone=_TONES[verdict.word],
        machine=_name(report, _PAGE_NAME_LENGTH_MAX),
        outcome=outcome(verdict),
        point=f"Restore point of {moment(report.point_taken_at)}",
        picture=urls.get("png", ""),
        picture_alt=f"Console of the recovered machine: {ending}"
        if pictures
        else "There is no picture of the console.",
        picture_note="The picture was made unreadable on purpose." if report.redacted else "",
        reel=urls.get("gif", ""),
        rungs=tuple(Rung(name=name, reached=verdict.grade >= grade) for grade, name in _RUNGS.items()),
        figures=_figures(report),
        reasons=_sentences(verdict.reasons),
        evidence="" if report.redacted else cleaned_line(report.evidence, _SENTENCE_LENGTH_MAX),
        not_proven=_sentences(verdict.not_proven),
        overrides=_sentences(report.overrides),
        disks=tuple(_disk_row(number, disk) for number, disk in enumerate(report.disks[:_DISKS_SHOWN_MAX])),
        backup=_backup_figures(report.backup),
        console_text="" if report.redacted else _last_lines(report.console_text),
        footer=_footer(report),
        head=report.signed_head,
        proof=f"{PROOF_FILE}, attached, proves that this verdict is entry {report.proofs[-1].index} under this head."
        if report.proofs
        else "",
    )


def _attachments(report: VerificationReport) -> tuple[TextAttachment, ...]:
    text = "\n".join(map(proof_text, report.proofs))
    return (TextAttachment(file_name=PROOF_FILE, text=text),) if report.proofs else ()


def _name(report: VerificationReport, length_max: int) -> str:
    return cleaned_line(report.machine_name, length_max) or "(no name)"


def _figures(report: VerificationReport) -> tuple[Figure, ...]:
    boot_s, restore_s = report.verdict.boot_s, report.restore_s
    total = sum(disk.size_bytes for disk in report.disks)
    disks = f"{len(report.disks)} disk{'' if len(report.disks) == 1 else 's'}"
    return (
        Figure(label="to boot", value=duration(boot_s) if boot_s is not None else "–"),
        Figure(label="to restore", value=duration(restore_s) if restore_s is not None else "–"),
        Figure(label=disks, value=size(total)),
    )


def _backup_figures(backup: BackupFigures | None) -> tuple[Figure, ...]:
    if backup is None:
        return ()
    kind = (Figure(label=backup.kind, value=cleaned_line(backup.cause, _SENTENCE_LENGTH_MAX)),) if backup.kind else ()
    return (
        *kind,
        Figure(label="read", value=size(backup.read_bytes)),
        Figure(label="already stored", value=size(backup.deduplicated_bytes)),
        Figure(label="new", value=size(backup.new_bytes)),
        Figure(label="new, compressed", value=size(backup.compressed_bytes)),
        Figure(label="left out (swap)", value=size(backup.excluded_bytes)),
    )


def _footer(report: VerificationReport) -> tuple[Figure, ...]:
    rows = [
        ("restore point", report.point_id),
        ("repository", report.repository_name),
        ("verified", moment(report.verified_at)),
        ("lab", report.accelerator),
    ]
    return tuple(Figure(label=label, value=cleaned_line(value, _SENTENCE_LENGTH_MAX)) for label, value in rows if value)


def _disk_row(number: int, disk: ReportedDisk) -> DiskRow:
    return DiskRow(
        number=number,
        name=cleaned_line(disk.name, _PAGE_NAME_LENGTH_MAX),
        size=size(disk.size_bytes),
        content=_content(disk.finding),
    )


def _content(finding: DiskFinding | None) -> tuple[str, ...]:
    if finding is None:
        return ("not examined",)
    tables = {"none": "no partition table", "damaged": "partition table damaged"}
    lines = [tables.get(finding.partition_table, f"{finding.partition_table.upper()} partition table")]
    lines += [_volume(volume) for volume in finding.volumes[:_VOLUMES_SHOWN_MAX]]
    if len(finding.volumes) > _VOLUMES_SHOWN_MAX:
        lines.append(f"and {len(finding.volumes) - _VOLUMES_SHOWN_MAX} more volumes")
    lines += finding.remarks
    return tuple(cleaned_line(line, _SENTENCE_LENGTH_MAX) for line in lines)


def _volume(volume: VolumeFinding) -> str:
    state = {True: "readable", False: "CANNOT BE READ", None: "not looked into"}[volume.readable]
    place = f"volume {volume.number}" if volume.number else "whole disk"
    remark = f" ({volume.remark})" if volume.remark else ""
    return f"{place}: {volume.file_system}, {size(volume.extent.length)}, {state}{remark}"


def _sentences(sentences: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(cleaned_line(sentence, _SENTENCE_LENGTH_MAX) for sentence in sentences)


def _last_lines(text: str) -> str:
    lines = [line for line in cleaned_lines(text).split("\n") if line.strip()]
    return "\n".join(lines[-_CONSOLE_LINES_MAX:])


def _pictures(report: VerificationReport, key: str) -> tuple[InlinePicture, ...]:
    wanted = (("console", "png", report.picture_png), ("boot", "gif", report.reel_gif))
    return tuple(
        InlinePicture(
            content_id=f"{name}.{key}@atesta.invalid", subtype=subtype, file_name=f"{name}.{subtype}", content=content
        )
        for name, subtype, content in wanted
        if content
    )
