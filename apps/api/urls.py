"""The paths of the REST API. Each names at most one row, by an `…_id`."""

from uuid import UUID

from django.urls import path, re_path, register_converter
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from apps.api.frame.errors import no_such_path
from apps.api.resources import (
    budgets,
    credentials,
    events,
    explanations,
    invitations,
    keys,
    me,
    members,
    models,
    organizations,
    policies,
    prices,
    records,
    services,
    tokens,
    usage,
)
from apps.core.ids import parse_request_id, request_id


class RequestConverter:
    """A request's id as its client saw it: req_ and 32 hexadecimal digits."""

    regex = "req_[0-9a-f]{32}"

    def to_python(self, value: str) -> UUID:
        """The id behind it. Raises ValueError, which is 404."""
        found = parse_request_id(value)
        if found is None:
            raise ValueError(value)
        return found

    def to_url(self, value: UUID) -> str:
        """As clients see it."""
        return request_id(value)


register_converter(RequestConverter, "request")

resources = [
    path("me", me.Me.as_view()),
    path("organizations", organizations.Organizations.as_view()),
    path("organizations/<uuid:organization_id>", organizations.OneOrganization.as_view()),
    path("organizations/<uuid:organization_id>/rules", policies.OrganizationRules.as_view()),
    path("organizations/<uuid:organization_id>/effective-policy", policies.OrganizationPolicy.as_view()),
    path("settings", organizations.Settings.as_view()),
    path("members", members.Members.as_view()),
    path("members/<uuid:member_id>", members.OneMember.as_view()),
    path("invitations", invitations.Invitations.as_view()),
    path("invitations/<uuid:invitation_id>", invitations.OneInvitation.as_view()),
    path("invitations/<uuid:invitation_id>/resend", invitations.InvitationRenewal.as_view()),
    path("invitations/<uuid:invitation_id>/revoke", invitations.InvitationRevocation.as_view()),
    path("keys", keys.Keys.as_view()),
    path("keys/<uuid:key_id>", keys.OneKey.as_view()),
    path("keys/<uuid:key_id>/revoke", keys.KeyRevocation.as_view()),
    path("services", services.Services.as_view()),
    path("services/<uuid:service_id>", services.OneService.as_view()),
    path("services/<uuid:service_id>/rules", policies.ServiceRules.as_view()),
    path("services/<uuid:service_id>/effective-policy", policies.ServicePolicy.as_view()),
    path("tokens", tokens.Tokens.as_view()),
    path("tokens/<uuid:token_id>", tokens.OneToken.as_view()),
    path("tokens/<uuid:token_id>/rotate", tokens.TokenRotation.as_view()),
    path("tokens/<uuid:token_id>/revoke", tokens.TokenRevocation.as_view()),
    path("tokens/<uuid:token_id>/rules", policies.TokenRules.as_view()),
    path("tokens/<uuid:token_id>/effective-policy", policies.TokenPolicy.as_view()),
    path("credentials", credentials.Credentials.as_view()),
    path("credentials/<uuid:credential_id>", credentials.OneCredential.as_view()),
    path("credentials/<uuid:credential_id>/test", credentials.CredentialProbe.as_view()),
    path("models", models.Models.as_view()),
    path("models/<uuid:model_id>", models.OneModel.as_view()),
    path("aliases", models.Aliases.as_view()),
    path("aliases/<uuid:alias_id>", models.OneAlias.as_view()),
    path("policies", policies.Policies.as_view()),
    path("policies/<uuid:policy_id>", policies.OnePolicy.as_view()),
    path("attachments", policies.Attachments.as_view()),
    path("attachments/<uuid:attachment_id>", policies.OneAttachment.as_view()),
    path("installation/rules", policies.InstallationRules.as_view()),
    path("explanations", explanations.Explanations.as_view()),
    path("budgets", budgets.Budgets.as_view()),
    path("budgets/<uuid:budget_id>", budgets.OneBudget.as_view()),
    path("budgets/<uuid:budget_id>/state", budgets.BudgetStates.as_view()),
    path("holds", budgets.Holds.as_view()),
    path("holds/<request:request_id>/release", budgets.HoldRelease.as_view()),
    path("adjustments", budgets.Adjustments.as_view()),
    path("webhooks", budgets.Webhooks.as_view()),
    path("webhooks/<uuid:webhook_id>", budgets.OneWebhook.as_view()),
    path("webhooks/<uuid:webhook_id>/rotate", budgets.WebhookRotation.as_view()),
    path("alerts", budgets.Alerts.as_view()),
    path("credential-alerts", budgets.CredentialAlerts.as_view()),
    path("prices", prices.Prices.as_view()),
    path("prices/<uuid:price_id>", prices.OnePrice.as_view()),
    path("prices/<uuid:price_id>/withdraw", prices.PriceWithdrawal.as_view()),
    path("records", records.Records.as_view()),
    path("records/export", records.RecordExport.as_view()),
    path("records/<request:record_id>", records.OneRecord.as_view()),
    path("records/<request:record_id>/explanation", explanations.RecordExplanation.as_view()),
    path("usage", usage.Usage.as_view()),
    path("events", events.Events.as_view()),
    path("events/<uuid:event_id>", events.OneEvent.as_view()),
]

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="api-schema"), name="api-docs"),
    *resources,
    re_path(".*", no_such_path),
]
