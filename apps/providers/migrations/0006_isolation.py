from django.db import migrations

from apps.core.isolation import isolate


class Migration(migrations.Migration):
    dependencies = [
        ("providers", "0005_credential_refusals"),
        ("core", "0003_roles"),
    ]

    operations = [
        isolate("providers_credential", shared=True),
        isolate("providers_providermodel", shared=True),
        isolate("providers_providerlisting", shared=True),
        isolate("providers_price", shared=True),
        isolate("providers_alias", shared=True),
        isolate("providers_aliastarget", shared=True),
    ]
