"""One call, as the stages after parsing see it."""

from dataclasses import dataclass, field

from apps.gateway.directory.views import ModelView, Route, TokenView
from apps.gateway.surfaces import Target
from apps.providers.dialects.heads import Head


@dataclass(slots=True)
class Call:
    """One client request, known to be authentic and well formed. Admission may set `output_cap`; else it does not change."""

    token: TokenView
    target: Target
    head: Head
    body: bytes
    model: ModelView
    routes: tuple[Route, ...]  # those that its policy leaves, best first
    skipped: tuple[tuple[str, str], ...] = field(default=())  # the others: credential's label and reason
    output_cap: int | None = None  # set where the request must be rewritten to ask for no more

    @property
    def writes(self) -> bool:
        """Whether the endpoint's answers have output tokens."""
        return self.target.endpoint.writes
