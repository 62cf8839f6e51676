"""Why a call is allowed or refused: of one that is only thought of, and of one that is recorded."""

from typing import Any, ClassVar

from django.http import Http404
from django.utils.timezone import now
from rest_framework import serializers

from apps.api.frame.examples import MOMENT, id_of
from apps.api.frame.fields import Choice, Ref, Strict, Text, Texts, Whole
from apps.api.frame.operations import operation
from apps.api.frame.views import ApiView
from apps.api.resources.records import RecordView
from apps.core.endpoints import CHAT_COMPLETIONS, SCOPES
from apps.orgs.roles import Permission
from apps.policies.explanation import Asked, as_json
from apps.policies.selectors.explain import explain_call, explain_record
from apps.services.models import Token

BYTES_MOST = 999_999_999_999


class ExplanationInput(Strict):
    """The call to explain. Nothing is counted, held or called."""

    example = {"token": id_of("token"), "model": "gpt-5", "output_tokens": 500}

    token = Ref(Token)
    endpoint = Choice(choices=list(SCOPES), required=False, help_text=f"{CHAT_COMPLETIONS} if left out.")
    model = Text(required=False)
    end_user = Text(required=False)
    tags = Texts(most=50, required=False, help_text="key=value each.")
    address = serializers.IPAddressField(required=False, help_text="Where it calls from.")
    input_bytes = Whole(required=False, min_value=0, max_value=BYTES_MOST)
    output_tokens = Whole(required=False, min_value=0, max_value=BYTES_MOST)


class ExplanationShown(serializers.Serializer[Any]):
    """Every question in order and its answer; limits, budgets and routes; and the verdict."""

    example = {
        "title": "What would become of a call with production (tg_live_…wxyz)",
        "asked": {
            "endpoint": "chat_completions",
            "at": MOMENT,
            "model": "gpt-5",
            "address": "",
            "end_user": "",
            "tags": [],
            "input_bytes": None,
            "output_tokens": 500,
        },
        "layers": [],
        "holds": {"max_output_tokens": {"value": 2000, "layer": "service", "policy": "careful"}},
        "steps": [{"question": "the model", "outcome": "passes", "says": "gpt-5 is allowed", "status": 0, "code": ""}],
        "limits": [],
        "budgets": [],
        "routes": [{"credential": "main", "provider": "openai", "upstream_model": "gpt-5", "skipped": ""}],
        "notes": [],
        "verdict": {"sentence": "Allowed.", "allowed": True, "status": None, "code": None},
    }

    title = serializers.CharField()
    asked = serializers.DictField()
    layers = serializers.ListField(child=serializers.DictField())
    holds = serializers.DictField()
    steps = serializers.ListField(child=serializers.DictField())
    limits = serializers.ListField(child=serializers.DictField())
    budgets = serializers.ListField(child=serializers.DictField())
    routes = serializers.ListField(child=serializers.DictField())
    request = serializers.DictField(required=False, help_text="Of a recorded one.")
    notes = serializers.ListField(child=serializers.CharField())
    verdict = serializers.DictField()


class Explanations(ApiView):
    """Of a call that is only thought of."""

    tag = "Policies"
    permissions: ClassVar = {"POST": Permission.POLICIES_READ}

    @operation("Explain what would become of a call", takes=ExplanationInput, gives=ExplanationShown)
    def post(self) -> Any:
        """Now, by every rule."""
        given = self.given
        token = Token.objects.select_related("service", "organization").get(pk=given.pop("token").pk)
        return as_json(
            explain_call(
                token,
                Asked(
                    at=now(),
                    endpoint=given.pop("endpoint", CHAT_COMPLETIONS),
                    tags=tuple(sorted(set(given.pop("tags", ())))),
                    **given,
                ),
            )
        )


class RecordExplanation(RecordView):
    """Of a call that is recorded."""

    @operation("Explain what was decided of a request", gives=ExplanationShown)
    def get(self) -> Any:
        """404 where no token was known, so that no policy was asked. Takes `policies.read` besides."""
        self.access.require(Permission.POLICIES_READ)
        found = explain_record(self.row)
        if found is None:
            raise Http404
        return as_json(found)
