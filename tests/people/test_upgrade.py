"""People who were here before their addresses were rows of their own."""

from allauth.account.models import EmailAddress
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from apps.orgs.models import User


def migrate(to: str | None) -> None:
    """With nothing left to be checked: a table that waits for a check cannot be altered."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
    MigrationExecutor(connection).migrate([("people", to)])


def test_an_installation_with_people_is_upgraded_and_their_addresses_are_vouched_for(db: None) -> None:
    user = User.objects.create_user("ana@acme.test")
    EmailAddress.objects.all().delete()
    migrate(None)
    migrate("0001_addresses_of_users")

    address = EmailAddress.objects.get()
    assert (address.user_id, address.email, address.primary, address.verified) == (user.pk, user.email, True, True)
