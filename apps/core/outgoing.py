"""Sending one e-mail. Nothing here retries or remembers."""

import smtplib
from email.utils import parseaddr
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend
from django.utils.translation import gettext as _

from apps.core.mail import MailServer

TIME_LIMIT = 10  # seconds for each word of a mail server


class NotSentError(Exception):
    """It did not arrive, or nobody can say that it did. The message says why, to the operator."""


class CannotBeSentError(NotSentError):
    """It will not arrive however often it is tried."""


def mail_connection(server: MailServer) -> EmailBackend:
    """The way to a mail server; connected to when something is sent."""
    return EmailBackend(
        host=server.host,
        port=server.port,
        username=server.user,
        password=server.password,
        use_tls=server.encryption == "starttls",
        use_ssl=server.encryption == "tls",
        timeout=TIME_LIMIT,
    )


def email_send(*, to: str, subject: str, body: str, message_id: UUID) -> None:
    """Hand one e-mail to the installation's mail server. Raises NotSentError."""
    server: MailServer | None = settings.EMAIL_SERVER
    if server is None:
        raise CannotBeSentError(_("no mail server is configured (EMAIL_URL)"))
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    message = EmailMessage(
        subject=" ".join(subject.split()),
        body=body,
        to=[to],
        connection=mail_connection(server),
        headers={
            "Message-ID": f"<{message_id}@{domain}>",  # the same at every attempt, so that readers see one
            "Auto-Submitted": "auto-generated",  # no out-of-office answers, please
        },
    )
    try:
        message.send()
    except ValueError as error:  # a domain of letters that no name server's name is made of
        raise CannotBeSentError(_("this is no address that an e-mail can be sent to")) from error
    except smtplib.SMTPAuthenticationError as error:
        raise NotSentError(_("the mail server refused the user name or password of EMAIL_URL")) from error
    except smtplib.SMTPRecipientsRefused as error:
        raise NotSentError(_("the mail server refused the address")) from error
    except smtplib.SMTPResponseException as error:
        raise NotSentError(_("the mail server answered %(code)d") % {"code": error.smtp_code}) from error
    except (smtplib.SMTPException, OSError) as error:
        reason = type(error).__name__
        raise NotSentError(_("the mail server cannot be reached or broke off (%(kind)s)") % {"kind": reason}) from error
