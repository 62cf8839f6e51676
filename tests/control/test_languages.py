"""What people who read German or Spanish get: pages, errors and numbers in their language, of their browser or their choice."""

from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.translation import override

from apps.audit.models import AdminEvent
from apps.audit.readable import compact, milliseconds, money, money_compact
from apps.core.actor import Actor
from apps.orgs.actions import owner_create
from apps.orgs.models import Organization
from apps.services.models import Service


@pytest.mark.parametrize(
    ("language", "words"), [("de", "Passwort"), ("es", "Contraseña"), ("en", "Password"), ("fr", "Password")]
)
def test_the_sign_in_page_speaks_the_browsers_language(client: Client, db: None, language: str, words: str):
    page = client.get(reverse("admin:login"), headers={"accept-language": language}, follow=True).content.decode()
    assert words in page
    assert f'lang="{language if language != "fr" else "en"}"' in page


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("de", ["Übersicht", "Drei Schritte bis zur ersten Antwort", "Anfrageprotokolle", "Abmelden"]),
        ("es", ["Resumen", "Tres pasos hasta la primera respuesta", "Registros de solicitudes", "Cerrar sesión"]),
    ],
)
def test_the_overview_is_translated(console: Client, language: str, words: list[str]):
    page = console.get(reverse("admin:index"), headers={"accept-language": language}).content.decode()
    for word in words:
        assert word in page
    assert "Overview" not in page


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("de", "Einen Dienst mit diesem Namen gibt es schon."),
        ("es", "Ya existe un servicio con este nombre."),
    ],
)
def test_a_forms_error_is_translated(
    console: Client, acme: Organization, service: Service, language: str, sentence: str
):
    form = {"organization": acme.pk, "name": service.name}
    answer = console.post(reverse("admin:services_service_add"), form, headers={"accept-language": language})
    assert sentence in answer.content.decode()


def test_a_page_that_does_not_exist_says_so_in_the_readers_language(client: Client, db: None):
    answer = client.get("/nowhere/", headers={"accept-language": "es"})
    assert answer.status_code == 404
    assert "No encontrado" in answer.content.decode()
    assert '<html lang="es">' in answer.content.decode()


def test_a_choice_of_language_is_kept_and_goes_before_the_browsers(client: Client, db: None):
    answer = client.post(reverse("set_language"), {"language": "es", "next": reverse("admin:login")})
    assert answer.headers["Location"] == reverse("admin:login")
    assert answer.cookies["django_language"]["httponly"]
    page = client.get(reverse("admin:login"), headers={"accept-language": "de"}, follow=True).content.decode()
    assert "Contraseña" in page


def test_a_choice_of_language_leads_to_no_other_host(client: Client, db: None):
    answer = client.post(reverse("set_language"), {"language": "es", "next": "https://elsewhere.example/"})
    assert answer.headers["Location"] == "/"


def test_another_sites_form_cannot_choose_the_language(db: None):
    answer = Client(enforce_csrf_checks=True).post(reverse("set_language"), {"language": "es"})
    assert answer.status_code == 403
    assert "django_language" not in answer.cookies


@pytest.mark.parametrize("language", ["en", "de", "es"])
def test_every_language_is_offered_by_its_own_name_before_and_after_signing_in(
    client: Client, console: Client, language: str
):
    headers = {"accept-language": language}
    outside = client.get(reverse("admin:login"), headers=headers, follow=True).content.decode()
    inside = console.get(reverse("admin:index"), headers=headers).content.decode()
    for page in (outside, inside):
        for name in ("English", "Deutsch", "Español"):
            assert f">{name}</button>" in page


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("en", ["$1,234.50", "$12,345", "12.3 k", "0.8 ms"]),
        ("de", ["$1.234,50", "$12.345", "12,3 k", "0,8 ms"]),
        ("es", ["$1\xa0234,50", "$12\xa0345", "12,3 k", "0,8 ms"]),
    ],
)
def test_numbers_have_the_languages_separators(language: str, shown: list[str]):
    with override(language):
        figures = [money(Decimal("1234.5")), money_compact(Decimal(12345)), compact(12_345), milliseconds(800)]
    assert figures == shown


def test_what_events_keep_is_in_one_language_whoever_made_them(acme: Organization, actor: Actor):
    with override("de"):
        owner_create(organization=acme, email="maria@acme.test", password=None, actor=actor)
    events = AdminEvent.objects.filter(target_type="orgs.membership")
    assert [event.target_label for event in events] == ["maria@acme.test · owner"]
