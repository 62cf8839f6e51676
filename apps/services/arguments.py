"""What the arguments of commands name."""

from django.core.management.base import CommandError

from apps.orgs.arguments import named_organization
from apps.services.models import Service
from apps.services.selectors import service_by_name


def named_service(slug: str, name: str) -> Service:
    """The service of `--org SLUG --service NAME`. Raises CommandError with those there are, or how to make one."""
    organization = named_organization(slug)
    service = service_by_name(organization, name)
    if service is not None:
        return service
    names = list(Service.objects.filter(organization=organization).order_by("name").values_list("name", flat=True)[:10])
    hint = f"there are {', '.join(names)}" if names else "`manage.py create_service` creates one"
    raise CommandError(f"{organization} has no service {name!r}: {hint}.")
