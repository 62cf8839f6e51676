"""EMAIL_URL names a mail server, or is refused."""

import pytest

from apps.core.mail import MailServer, mail_server


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail", MailServer("mail", 25, "", "", "none")),
        ("smtp+tls://u%40x:p%3Aw@mail.example.org", MailServer("mail.example.org", 587, "u@x", "p:w", "starttls")),
        ("smtps://u:p@[::1]:4650/", MailServer("::1", 4650, "u", "p", "tls")),
    ],
)
def test_a_url_says_where_mail_is_handed_in(url: str, server: MailServer) -> None:
    assert mail_server(url) == server


def test_none_is_no_server() -> None:
    assert mail_server("") is None


@pytest.mark.parametrize(
    "url",
    ["mail.example.org", "http://mail", "smtp://", "smtp://mail/inbox", "smtp://mail?tls=true", "smtp://mail:port"],
)
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        mail_server(url)
