"""Publishing the heads of one repository as ``[audit.publish]`` says, and what keeps that from being done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adapters.audit.head_bucket import HeadBucket
from adapters.audit.head_folder import HeadFolder
from adapters.audit.tree_file import TreeFile
from adapters.configuration import LoadedConfiguration
from domain.content.signed_note import VerifierKey
from domain.errors import AtestaError
from domain.ports.clock import Clock
from domain.ports.mail import Outbox
from domain.ports.transparency import HeadPlace
from domain.workflows.mailing import queue_mails
from domain.workflows.publishing import head_mails, publish_heads


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedHeads:
    """What was published: files and objects written, mails queued; ``troubles`` is what the next run tries again."""

    files: int = 0
    mails: int = 0
    troubles: tuple[AtestaError, ...] = ()


def publish_as_configured(
    configuration: LoadedConfiguration, tree: TreeFile, keys: tuple[VerifierKey, ...], outbox: Outbox, clock: Clock
) -> PublishedHeads:
    """Publish to all places and addresses of the configuration. What fails is returned, nothing is raised."""
    publish, mail = configuration.content.audit.publish, configuration.content.mail
    files, mails, troubles = 0, 0, []
    for place in _places(configuration, keys):
        try:
            files += publish_heads(tree, keys, place)
        except AtestaError as error:
            troubles.append(error)
    try:
        heads = tree.heads() if publish.mail else ()
        if heads:
            queued = head_mails(
                heads[-1],
                repository_name=configuration.repository_folder.name,
                sender=mail.sender,
                recipients=publish.mail,
                at=clock.now(),
            )
            mails = len(queue_mails(outbox, queued))
    except AtestaError as error:
        troubles.append(error)
    return PublishedHeads(files=files, mails=mails, troubles=tuple(troubles))


def _places(configuration: LoadedConfiguration, keys: tuple[VerifierKey, ...]) -> Iterator[HeadPlace]:
    publish = configuration.content.audit.publish
    if publish.folder is not None and keys:
        yield HeadFolder(configuration.path(publish.folder), keys[-1].name)
    if publish.bucket is not None and keys:
        yield HeadBucket(publish.bucket, keys[-1].name)
