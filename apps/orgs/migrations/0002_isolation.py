from django.db import migrations

from apps.core.isolation import ALL, READ, grant, isolate, isolate_by, isolate_person
from apps.core.tenancy import MEMBER_ROLE


class Migration(migrations.Migration):
    dependencies = [
        ("orgs", "0001_initial"),
        ("core", "0003_roles"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("sessions", "0001_initial"),
    ]

    operations = [
        isolate_by(
            "orgs_organization",
            [("member", MEMBER_ROLE, "ALL", "id = (SELECT core_organization())")],
            members="SELECT, UPDATE",
            door=ALL,
        ),
        isolate("orgs_membership", door=ALL),
        isolate_by(
            "orgs_user",
            [
                ("self", MEMBER_ROLE, "ALL", "id = (SELECT core_person())"),
                # The memberships that are seen are those of one organization.
                (
                    "fellow",
                    MEMBER_ROLE,
                    "SELECT",
                    "EXISTS (SELECT FROM orgs_membership m WHERE m.user_id = orgs_user.id)",
                ),
            ],
            members="SELECT, UPDATE",
            door=ALL,
        ),
        isolate_person("orgs_signinlink"),
        grant("django_session", members=ALL),
        grant("django_content_type", members=READ, staff=READ, door=READ),
        grant("auth_permission", members=READ, staff=READ, door=READ),
        grant("auth_group", members=READ),
        grant("auth_group_permissions", members=READ),
        grant("orgs_user_groups", members=READ),
        grant("orgs_user_user_permissions", members=READ),
        grant("django_admin_log", door=""),
    ]
