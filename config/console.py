"""How the console looks and where things are in it: django-unfold's settings."""

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _


def _link(title: Any, icon: str, model: str) -> dict[str, Any]:
    def is_offered(request: HttpRequest) -> bool:
        label, _underscore, name = model.partition("_")
        page = admin.site.get_model_admin(apps.get_model(label, name))
        return bool(page.has_module_permission(request))

    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{model}_changelist"), "permission": is_offered}


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Tollgate",
    "SITE_HEADER": "Tollgate",
    "SITE_SYMBOL": "toll",
    "SITE_URL": None,
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("console/favicon.svg")},
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "DASHBOARD_CALLBACK": "apps.policies.overview.dashboard",
    "STYLES": [lambda _request: static("console/console.css")],
    "SCRIPTS": [lambda _request: static("console/console.js")],
    "COLORS": {
        "primary": {
            "50": "oklch(96.2% .018 272.314)",
            "100": "oklch(93% .034 272.788)",
            "200": "oklch(87% .065 274.039)",
            "300": "oklch(78.5% .115 274.713)",
            "400": "oklch(67.3% .182 276.935)",
            "500": "oklch(58.5% .233 277.117)",
            "600": "oklch(51.1% .262 276.966)",
            "700": "oklch(45.7% .24 277.023)",
            "800": "oklch(39.8% .195 277.366)",
            "900": "oklch(35.9% .144 278.697)",
            "950": "oklch(25.7% .09 281.288)",
        },
    },
    "ACCOUNT": {
        "navigation": [
            {"title": _("Your account"), "link": reverse_lazy("people_profile")},
            {"title": _("Organizations"), "link": reverse_lazy("organizations")},
        ]
    },
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": [
            {"items": [{"title": _("Overview"), "icon": "monitoring", "link": reverse_lazy("admin:index")}]},
            {
                "title": _("Gateway"),
                "separator": True,
                "items": [
                    _link(_("Services"), "apps", "services_service"),
                    _link(_("Tokens"), "key", "services_token"),
                    _link(_("Objects"), "folder_managed", "objects_ownedobject"),
                ],
            },
            {
                "title": _("Governance"),
                "separator": True,
                "items": [
                    _link(_("Policies"), "policy", "policies_policy"),
                    _link(_("Budgets"), "savings", "policies_budget"),
                    _link(_("Alerts"), "notifications", "policies_budgetalert"),
                    _link(_("Refused credentials"), "key_off", "policies_credentialalert"),
                    _link(_("Deliveries"), "outgoing_mail", "policies_alertdelivery"),
                    _link(_("Webhooks"), "webhook", "policies_webhook"),
                    _link(_("Adjustments"), "balance", "audit_adjustment"),
                ],
            },
            {
                "title": _("Providers"),
                "separator": True,
                "items": [
                    _link(_("Credentials"), "cloud_lock", "providers_credential"),
                    _link(_("Models"), "neurology", "providers_providermodel"),
                    _link(_("Aliases"), "alt_route", "providers_alias"),
                    _link(_("Prices"), "sell", "providers_price"),
                ],
            },
            {
                "title": _("Record"),
                "separator": True,
                "items": [
                    _link(_("Request records"), "receipt_long", "audit_requestrecord"),
                    _link(_("Admin events"), "history", "audit_adminevent"),
                ],
            },
            {
                "title": _("People"),
                "separator": True,
                "items": [
                    _link(_("Organizations"), "domain", "orgs_organization"),
                    _link(_("Users"), "person", "orgs_user"),
                    _link(_("Memberships"), "group", "orgs_membership"),
                    _link(_("Management keys"), "vpn_key", "keys_managementkey"),
                    _link(_("Invitations"), "forward_to_inbox", "invitations_invitation"),
                    _link(_("Directory tokens"), "sync_lock", "scim_directorytoken"),
                    _link(_("Directory groups"), "groups", "scim_directorygroup"),
                    _link(_("Identities"), "badge", "sso_identity"),
                ],
            },
        ],
    },
}
