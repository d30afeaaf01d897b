"""What stands behind each kind of work of ``atesta run``: the workflows, called for one job that is due.

A kind without an entry in ``jobs`` is never due.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from adapters.cli.presentation import human_seconds, human_size
from adapters.composition import Atesta
from adapters.configuration import parse_rate, parse_size
from domain.errors import AtestaError
from domain.model.activity import ActivityKind
from domain.model.due import DueJob, JobKind, LastRuns, Planned, Subject
from domain.model.machines import Machine
from domain.model.sampling import points_to_verify
from domain.model.schedule import Every
from domain.model.verdicts import VerdictWord
from domain.ports.catalog import RestorePoint
from domain.ports.progress import Progress
from domain.workflows.run_due import FollowUp, Job, JobOutcome, JobResult
from domain.workflows.scrub_budget import ScrubLimits
from domain.workflows.vault import Vault

_TRIES_LOOKED_AT = 1000


class DueJobs:
    """The jobs of one run. The repository is opened when the first job needs it, the machines are listed once."""

    def __init__(self, atesta: Atesta, open_vault: Callable[[], Vault], progress: Progress) -> None:
        self._atesta = atesta
        self._open_vault = open_vault
        self._progress = progress
        self._vault: Vault | AtestaError | None = None

    @property
    def jobs(self) -> Mapping[JobKind, Job]:
        """Which kinds of work there are."""
        return {
            JobKind.BACKUP: self._back_up,
            JobKind.VERIFY: self._verify,
            JobKind.EXPIRE: self._expire,
            JobKind.PRUNE: self._prune,
            JobKind.SCRUB: self._scrub,
        }

    @property
    def follow_ups(self) -> Sequence[FollowUp]:
        """What every run does at its end."""
        return (
            FollowUp(name="mails", do=self._deliver_mails),
            FollowUp(name="history", do=self._ship_history),
            FollowUp(name="seal", do=self._seal),
            FollowUp(name="heads", do=self._publish_heads),
            FollowUp(name="metrics", do=self._write_metrics),
        )

    def planned(self) -> Sequence[Planned]:
        """All work with its schedule. Listing the machines is a job of its own when it fails, so that it says why."""
        schedule = self._atesta.configuration.content.schedule
        listing = Subject(JobKind.BACKUP)
        planned = schedule.planned(self._machines or ())
        is_whole = self._machines is not None and not self._atesta.source.troubles
        if not is_whole or self._atesta.catalog.last_runs().get(listing, LastRuns()).failed_at:
            return [Planned(subject=listing, schedule=Every(interval=schedule.retry)), *planned]
        return planned

    @cached_property
    def _machines(self) -> Sequence[Machine] | None:
        try:
            return self._atesta.source.machines()
        except AtestaError:
            return None

    def settle_owed(self) -> Sequence[str]:
        """Put right what killed backups left on hosts; returns what a person should know.

        The repository is opened only when something is owed. Raises what opening it raises.
        """
        if not self._atesta.owing():
            return ()
        workflow = self._atesta.backup_workflow(self._opened(), self._progress)
        _ = self._machines  # the source knows where a machine is once it has listed them
        return workflow.settle_owed(self._atesta.source)

    def _back_up(self, job: DueJob) -> JobOutcome:
        if not job.subject.machine_id:
            machines = self._atesta.source.machines()
            if self._atesta.source.troubles:
                raise self._atesta.source.troubles[0]
            return JobOutcome(result=JobResult.NOTHING, said=f"{len(machines)} machines can be listed")
        machine = next(one for one in self._machines or () if one.machine_id == job.subject.machine_id)
        summary = self._atesta.backup_workflow(self._opened(), self._progress).back_up(self._atesta.source, machine)
        return JobOutcome(
            result=JobResult.DONE,
            said=(
                f"point {summary.point_id.hex[:8]}, {summary.kind}: {summary.cause}; "
                f"{human_size(summary.read_bytes)} read, {human_size(summary.new_bytes)} new, "
                f"{human_size(summary.stored_bytes)} stored"
            ),
        )

    def _verify(self, job: DueJob) -> JobOutcome:
        """One that cannot be verified does not keep the others from it."""
        points = self._points_to_verify(job.subject.machine_id)
        said, words, errors = [], [], []
        for point in points:
            name = f"{point.machine.name} {point.short_id}"
            try:
                outcome = self._atesta.verification_workflow(self._opened(), self._progress).verify(point)
            except AtestaError as error:
                errors.append(error)
                continue
            verdict = outcome.verdict
            words.append(verdict.word)
            boot = f" in {human_seconds(verdict.boot_s)}" if verdict.boot_s is not None else ""
            why = f": {verdict.reasons[0]}" if verdict.word is not VerdictWord.BOOTED and verdict.reasons else ""
            said.append(f"{name} {verdict.word}{boot}{why}")
            self._mail_at_once()
        if errors:
            raise errors[0]
        if not points:
            return JobOutcome(result=JobResult.NOTHING, said="every restore point has a verdict")
        booted = all(word is VerdictWord.BOOTED for word in words)
        return JobOutcome(result=JobResult.DONE if booted else JobResult.NOT_BOOTED, said="; ".join(said))

    def _expire(self, _job: DueJob) -> JobOutcome:
        """Rules only: nothing is expired without one, nor by a clock that is in doubt."""
        self._atesta.catalog.catch_up()
        plans = self._atesta.retention_workflow().apply(self._atesta.catalog.machines())
        expired = sum(len(plan.expiring) for plan in plans)
        kept = sum(len(plan.points) for plan in plans) - expired
        said = f"{expired} expired, {kept} kept, of {len(plans)} machines"
        return JobOutcome(result=JobResult.DONE if expired else JobResult.NOTHING, said=said)

    def _prune(self, _job: DueJob) -> JobOutcome:
        """What could be reclaimed is, also when some packs could not be read."""
        summary = self._atesta.prune_workflow(self._opened(), self._progress, None).prune()
        said = f"{human_size(max(0, summary.freed_bytes))} came back, {summary.packs_waiting} packs wait"
        if summary.missing_chunks or summary.damaged:
            damage = f"{summary.missing_chunks} chunks are missing, {len(summary.damaged)} packs cannot be read"
            return JobOutcome(result=JobResult.DAMAGED, said=f"{damage}; {said}")
        return JobOutcome(result=JobResult.DONE, said=said)

    def _scrub(self, _job: DueJob) -> JobOutcome:
        """As [scrub] says, like the command without options."""
        section = self._atesta.configuration.content.scrub
        limits = ScrubLimits(
            bytes_max=parse_size(section.bytes) if section.bytes else None,
            seconds_max=section.minutes * 60 if section.minutes is not None else None,
            bytes_per_second=parse_rate(section.rate) if section.rate else None,
        )
        vault = self._opened() if section.keyed else None
        summary = self._atesta.scrub_workflow(vault, self._progress).scrub(limits, keyed=section.keyed)
        said = f"{summary.packs_read} packs, {human_size(summary.read_bytes)} read, {summary.packs_left} left"
        if summary.open_damage:
            damage = (
                f"{len(summary.open_damage)} packs are damaged, the first is {summary.open_damage[0].pack_id.hex()}"
            )
            return JobOutcome(result=JobResult.DAMAGED, said=f"{damage}; {said}")
        return JobOutcome(result=JobResult.DONE, said=said)

    def _points_to_verify(self, machine_id: str) -> Sequence[RestorePoint]:
        """The newest of a machine that was just backed up; else the oldest without a verdict."""
        catalog = self._atesta.catalog
        catalog.catch_up()
        if machine_id:
            return catalog.points(machine_id)[-1:]
        points = {point.point_id: point for point in catalog.points()}
        checks = catalog.activities(kind=ActivityKind.VERIFICATION, limit=_TRIES_LOOKED_AT)
        chosen = points_to_verify(
            [(point.point_id, point.word) for point in points.values()],
            [check.point_id for check in checks if check.point_id is not None],
            self._atesta.configuration.content.schedule.verify_points_max,
        )
        return [points[point_id] for point_id in chosen]

    def _mail_at_once(self) -> None:
        """A report is worth most straight away; what goes wrong here is told when the run delivers at its end."""
        try:
            self._atesta.deliver_reports()
        except AtestaError as error:
            self._progress.say(f"The report waits: {error}")

    def _deliver_mails(self) -> str:
        delivered = self._atesta.deliver_reports()
        parts = [f"{len(delivered.sent)} sent to {self._atesta.mail_destination}"] if delivered.sent else []
        parts += [f"not to {trouble.recipient}: {trouble.what}" for trouble in delivered.troubles]
        return "; ".join(parts)

    def _ship_history(self) -> str:
        """Only a run that has opened the repository can: what others append goes with the next one that has."""
        unshipped = self._atesta.events_unshipped()
        if not unshipped or not isinstance(self._vault, Vault):
            return ""
        self._atesta.shipping(self._vault).ship()
        return f"{unshipped} events shipped into the repository"

    def _seal(self) -> str:
        auditing = self._atesta.auditing
        before = auditing.sealed().up_to
        head = self._atesta.seal_and_ship(self._vault) if isinstance(self._vault, Vault) else auditing.seal()
        return f"a signed head covers {head.size} events" if head is not None and head.number > before else ""

    def _publish_heads(self) -> str:
        """What keeps heads from being published is told, and fails nothing."""
        published = self._atesta.publish_heads()
        parts = [f"{published.files} published"] if published.files else []
        parts += [f"WARNING: not published: {trouble}" for trouble in published.troubles]
        return "; ".join(part for part in (*parts, self._deliver_mails() if published.mails else "") if part)

    def _write_metrics(self) -> str:
        file = self._atesta.configuration.content.metrics.file
        if file is None:
            return ""
        path = self._atesta.configuration.path(file)
        self._atesta.write_metrics(path)
        return f"written to {path}"

    def _opened(self) -> Vault:
        """Opened once; a wrong passphrase is not tried for every machine."""
        if self._vault is None:
            try:
                self._vault = self._open_vault()
            except AtestaError as error:
                self._vault = error
        if isinstance(self._vault, AtestaError):
            raise self._vault
        return self._vault
