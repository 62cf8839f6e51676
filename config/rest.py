"""How the REST API is framed, and how its schema presents itself: Django REST framework's and drf-spectacular's settings."""

from typing import Any

FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],  # each view of ours names its own; the schema and its page need nobody
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["apps.api.frame.parsing.JsonParser"],
    "DEFAULT_SCHEMA_CLASS": "apps.api.frame.schema.ApiSchema",
    "EXCEPTION_HANDLER": "apps.api.frame.errors.answer_to",
    "UNAUTHENTICATED_USER": None,
}

SCHEMA: dict[str, Any] = {
    "TITLE": "Tollgate",
    "DESCRIPTION": (
        "Operate Tollgate: organizations and people, services and tokens, providers, policies, budgets, records and usage. "
        "Send a management key as `Authorization: Bearer tg_admin_…`. Rows come newest first, in pages. Amounts of money are "
        "text, exact. Times have their zone."
    ),
    "VERSION": "1",
    "LICENSE": {"name": "Apache-2.0"},
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api",
    "PATH_CONVERTER_OVERRIDES": {"request": {"type": "string", "pattern": "^req_[0-9a-f]{32}$"}},
    "COMPONENT_SPLIT_PATCH": False,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "POSTPROCESSING_HOOKS": ["apps.api.frame.schema.finish_schema"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "persistAuthorization": False, "validatorUrl": None},
}
