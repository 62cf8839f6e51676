from django.db import migrations

from apps.core.isolation import isolate


class Migration(migrations.Migration):
    dependencies = [
        ("policies", "0003_credential_alerts"),
        ("core", "0003_roles"),
    ]

    operations = [
        isolate("policies_policy", shared=True),
        isolate("policies_attachment", shared=True),
        isolate("policies_budget"),
        isolate("policies_webhook"),
        isolate("policies_budgetalert"),
        isolate("policies_credentialalert"),
        isolate("policies_alertdelivery"),
    ]
