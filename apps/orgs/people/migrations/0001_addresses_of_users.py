from typing import Any

from django.db import migrations

from apps.core.isolation import grant, isolate_person


def note_addresses(apps: Any, schema_editor: Any) -> None:
    """Users made before this have no row of their address: operators gave it, and vouch for it."""
    user, address = apps.get_model("orgs", "User"), apps.get_model("account", "EmailAddress")
    known = set(address.objects.values_list("user_id", flat=True))
    address.objects.bulk_create(
        address(user_id=row.pk, email=row.email, primary=True, verified=True)
        for row in user.objects.exclude(pk__in=known).iterator()
    )
    schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what is still to be checked forbids to alter the table


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("orgs", "0003_roles_and_switches"),
        ("account", "0009_emailaddress_unique_primary_email"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("usersessions", "0001_initial"),
    ]

    operations = [
        migrations.RunPython(note_addresses, migrations.RunPython.noop),
        isolate_person("account_emailaddress"),
        # Stays empty, as links that prove an address are signed; but who forgets an address looks there as well.
        grant("account_emailconfirmation", members="SELECT, DELETE"),
        isolate_person("mfa_authenticator"),
        isolate_person("usersessions_usersession"),
    ]
