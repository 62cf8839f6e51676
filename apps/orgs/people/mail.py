"""E-mails about signing in: handed to the mail server in the background, so that no clock tells whether there was one to send."""

from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.core.mail import EmailMessage

from apps.core.logs import get_logger
from apps.core.mail import MailServer
from apps.core.outgoing import mail_connection

log = get_logger(__name__)

_outbox = ThreadPoolExecutor(max_workers=2, thread_name_prefix="people-mail")


def mail_is_configured() -> bool:
    """Whether EMAIL_URL names a mail server."""
    return settings.EMAIL_SERVER is not None


def mail_soon(message: EmailMessage) -> None:
    """Hand `message` over in the background. What goes wrong is in the log: whoever waits for the e-mail asks again."""
    server: MailServer | None = settings.EMAIL_SERVER
    if server is not None:
        _outbox.submit(_hand_over, message, server)


def _hand_over(message: EmailMessage, server: MailServer) -> None:
    message.connection = mail_connection(server)
    message.extra_headers.setdefault("Auto-Submitted", "auto-generated")  # no out-of-office answers, please
    try:
        message.send()
    except OSError as error:  # smtplib's own are OSErrors too
        log.warning("sign_in_mail_not_sent", why=type(error).__name__)
