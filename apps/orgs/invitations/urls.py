"""The page that an invitation's link opens."""

from django.urls import path

from apps.orgs.invitations.views import invitation

urlpatterns = [path("invitations/<str:signed>/", invitation, name="invitation")]
