"""The transport that the configuration names: a folder, or an SMTP server with its password."""

from __future__ import annotations

from adapters.configuration import LoadedConfiguration
from adapters.mail.folder_transport import FolderTransport
from adapters.mail.smtp_transport import SmtpSecurity, SmtpServer, SmtpTransport
from adapters.secret_files import secret_from_file
from domain.ports.mail import MailTransport


def transport_for(configuration: LoadedConfiguration, password_given: str | None) -> MailTransport:
    """The transport; ``password_given`` comes before the file of the configuration.

    Raises BadInputError and EnvironmentTroubleError for a password file that cannot be used.
    """
    mail = configuration.content.mail
    if mail.transport == "folder":
        return FolderTransport(folder=configuration.path(mail.folder))
    smtp = mail.smtp
    return SmtpTransport(
        SmtpServer(
            host=smtp.host,
            port=smtp.port,
            security=SmtpSecurity(smtp.security),
            username=smtp.user,
            password=password_given or _password_kept(configuration),
            ca_file=configuration.path(smtp.ca_file) if smtp.ca_file else None,
            wait_s=smtp.timeout_seconds,
        )
    )


def _password_kept(configuration: LoadedConfiguration) -> str | None:
    file = configuration.content.mail.smtp.password_file
    return secret_from_file(configuration.path(file), "mail server's password") if file else None
