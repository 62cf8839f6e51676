import argparse
from ipaddress import ip_address
from typing import Any

import orjson
from django.core.management.base import CommandError
from django.utils.timezone import now

from apps.audit.selectors import record_get
from apps.core.commands import OperatorCommand
from apps.core.endpoints import CHAT_COMPLETIONS, SCOPES
from apps.core.ids import parse_request_id
from apps.policies.arguments import named_token
from apps.policies.explanation import Asked, Explanation, as_json, lines
from apps.policies.selectors.explain import explain_call, explain_record
from apps.providers.dialects.tags import tag_text

_DRY_RUN = ("model", "endpoint", "end_user", "tag", "output_tokens", "input_bytes", "address")


class Command(OperatorCommand):
    """Say why a call is allowed or refused."""

    help = (
        "Say what would become of a call, or what was decided of a request: every rule in order and where it comes from, "
        "limits and budgets with what is left of them, and the routes. Nothing is counted, held or called."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("request", nargs="?", metavar="REQUEST_ID", help="a request, as the client saw it: req_…")
        parser.add_argument("--token", metavar="ID", help="a dry run: the token, by its id or its last four characters")
        parser.add_argument("--model", metavar="NAME", help="the model it asks for")
        parser.add_argument("--endpoint", choices=SCOPES, help=f"where it calls ({CHAT_COMPLETIONS})")
        parser.add_argument("--end-user", metavar="ID", help="for whom it calls")
        parser.add_argument("--tag", action="append", type=_tag, metavar="K=V", help="with this tag; may be repeated")
        parser.add_argument("--output-tokens", type=_count, metavar="N", help="the output tokens it asks for")
        parser.add_argument("--input-bytes", type=_count, metavar="N", help="how much it sends")
        parser.add_argument("--address", type=_address, metavar="IP", help="where it calls from")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *, request: str | None, token: str | None, json: bool, **options: Any) -> None:
        """Succeeds whatever the verdict."""
        if (request is None) == (token is None):
            raise CommandError("Name one: a REQUEST_ID, or --token for a dry run.", returncode=2)
        if token is not None:
            found = explain_call(
                named_token(token),
                Asked(
                    endpoint=options["endpoint"] or CHAT_COMPLETIONS,
                    at=now(),
                    model=options["model"] or "",
                    address=options["address"] or "",
                    end_user=options["end_user"] or "",
                    tags=tuple(sorted(set(options["tag"] or ()))),
                    input_bytes=options["input_bytes"],
                    output_tokens=options["output_tokens"],
                ),
            )
        else:
            if any(options[name] is not None for name in _DRY_RUN):
                raise CommandError(
                    "A recorded request is explained as it was: leave the other options out.", returncode=2
                )
            found = self._recorded(request or "")
        if json:
            self.stdout.write(orjson.dumps(as_json(found), option=orjson.OPT_INDENT_2).decode())
        else:
            for line in lines(found):
                self.stdout.write(line)

    def _recorded(self, shown_id: str) -> Explanation:
        if parse_request_id(shown_id) is None:
            raise CommandError(f"{shown_id!r} is not a request's id: it reads req_… or is a UUID.", returncode=2)
        record = record_get(shown_id)
        if record is None:
            raise CommandError(
                f"There is no record of {shown_id}: requests are recorded within a second, if they reached us."
            )
        found = explain_record(record)
        if found is None:
            raise CommandError(
                f"Request {record.shown_id} ended with {record.status} {record.error_code}, before a token was known: "
                "no policy was asked."
            )
        return found


def _tag(word: str) -> str:
    key, _, value = word.partition("=")
    tag = tag_text(key, value)
    if not tag:
        raise argparse.ArgumentTypeError(f"{word!r} is no tag: write it as team=search")
    return tag


def _count(word: str) -> int:
    if not word.isascii() or not word.isdigit() or len(word) > 12:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number of 0 or more")
    return int(word)


def _address(word: str) -> str:
    """An IP address: an argument's type."""
    try:
        return str(ip_address(word))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is no IP address: write it as 192.0.2.1 or 2001:db8::1") from None
