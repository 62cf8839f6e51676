"""What happens to organizations and their people, for overlays to follow.

Sent by the actions, in their transaction: what a receiver writes is written with it, and what it refuses (ValidationError) does not
happen. Each bears `actor` (apps.core.actor.Actor) beside what is named here.
"""

from django.dispatch import Signal

organization_created = Signal()  # organization
organization_suspended = Signal()  # organization
organization_resumed = Signal()  # organization
member_joined = Signal()  # membership
member_left = Signal()  # membership, about to go
