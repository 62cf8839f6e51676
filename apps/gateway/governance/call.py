"""One call, as the stages after parsing see it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from apps.gateway.directory.views import ModelView, Route, TokenView
from apps.gateway.governance.estimates import estimated_input
from apps.gateway.relay.keeping import Keeping
from apps.gateway.surfaces import Endpoint, Target
from apps.gateway.translation.lacking import Lacking
from apps.gateway.translation.translation import Translation
from apps.gateway.translation.ways import way
from apps.gateway.uploads.form import Form
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
    stream: bool = False
    keeping: Keeping | None = None  # what is to be done with its answer
    form: Form | None = None  # the request as it came, where it is a form; `body` then holds its fields
    lacking: Lacking = field(default_factory=Lacking)  # what its providers turned out not to have
    native: bool = False  # whether all its routes have its endpoint themselves, for all that the catalogue says
    likely: str = (
        ""  # the credential whose account is to be asked first, as it has stored what the request goes on from
    )
    reading: Callable[[], Translation] | None = None  # how the request is read for other dialects
    _translation: Translation | None = None

    @property
    def about_input(self) -> int:
        """About how many tokens go in."""
        made = self.target.endpoint.made
        return estimated_input(self.body) if made is None or made.about is None else made.about(self.head, self.body)

    @property
    def writes(self) -> bool:
        """Whether the endpoint's answers have output tokens."""
        return self.target.endpoint.writes

    @property
    def is_native(self) -> bool:
        """Whether nothing is translated, whichever route answers."""
        return self.native and self.lacking.is_empty

    def way(self, route: Route) -> Endpoint:
        """The endpoint that this route is asked at: the client's own, or one that it is translated to."""
        endpoint = self.target.endpoint
        if self.is_native:
            return endpoint
        lacks = self.lacking.knows(route.credential, endpoint.name)
        return way(route, endpoint, stream=self.stream, lacks_it=lacks) or endpoint

    @property
    def translation(self) -> Translation:
        """The request as read for other dialects, once. Raises BadRequest naming the field."""
        if self._translation is None:
            if self.reading is None:
                raise RuntimeError("a call that cannot be read for other dialects leads to a provider of one")
            self._translation = self.reading()
        return self._translation
