"""Why a call is allowed or refused: the same questions in the same order as the gateway asks them, each with who answers.

Reads only: nothing is counted, held or called. What the gateway has learnt of calls' usual size and cost is its own, so the hold of
a budget is shown at its worst case.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils.dateformat import format as date_text
from django.utils.translation import gettext as _

from apps.audit.models import RequestRecord
from apps.core.endpoints import MODERATIONS, OUTPUTLESS, WORDLESS
from apps.core.errors import (
    BudgetExceeded,
    CountersUnavailable,
    EndpointNotAllowed,
    GatewayError,
    HoursNotAllowed,
    LimitExceeded,
    ModelNotAllowed,
    ModelNotFound,
    ModelUnpriced,
    NetworkNotAllowed,
    NoCredential,
    PolicyRefusal,
    ProviderNotAllowed,
    TokenExpired,
    TokenRevoked,
    TokenSuspended,
    TooManyInputTokens,
)
from apps.policies.counters import reading
from apps.policies.counters.plan import BUDGET_COLUMNS, TOKEN_BUDGETS_SQL, Counted, budget_rules, request
from apps.policies.counters.reading import LimitState
from apps.policies.decision import read_decision
from apps.policies.effective import RULE_FIELDS, Denial, EffectivePolicy, Source
from apps.policies.explanation import Asked, BudgetSeen, Explanation, LimitSeen, RouteSeen, Step
from apps.policies.models import Budget, BudgetScope
from apps.policies.routing import select_routes
from apps.policies.selectors.budgets import ledger_spent
from apps.policies.selectors.candidates import Candidate, find_candidates, longest_output, sheet_of
from apps.policies.selectors.policies import effective_for_token
from apps.policies.selectors.recorded import (
    attempt_text,
    budget_label,
    budget_rows,
    budgets_then,
    changes_since,
    limits_then,
)
from apps.policies.shown import limit_kind
from apps.policies.usd import usd_text
from apps.providers.models import Credential
from apps.services.models import Token, TokenState

_BYTES_A_TOKEN = 4  # of input, estimated
_NANO = Decimal(1_000_000_000)


def explain_call(token: Token, asked: Asked) -> Explanation:
    """What would become of this call, now."""
    return _Explainer(token, asked).explain()


def explain_record(record: RequestRecord) -> Explanation | None:
    """What was decided of a recorded request; None if its token is not known, so that no policy was asked.

    Limits and budgets are those of that moment, as the record keeps them; policies are as they are now, with a note if they have
    changed since.
    """
    if record.token_id is None:
        return None
    token = Token.objects.select_related("service", "organization").filter(pk=record.token_id).first()
    if token is None:
        return None
    asked = Asked(
        endpoint=record.endpoint,
        at=record.created_at,
        model=record.model_asked,
        address=record.client_address or "",
        end_user=record.end_user,
        tags=tuple(record.tags),
        input_bytes=record.bytes_in or None,
    )
    return _Explainer(token, asked).explain_recorded(record)


class _Explainer:
    """One call of one token."""

    def __init__(self, token: Token, asked: Asked) -> None:
        self._token, self._asked = token, asked
        self._organization = token.organization
        self._zone = ZoneInfo(token.organization.timezone)
        self._policy: EffectivePolicy = effective_for_token(token)
        self._found = find_candidates(self._organization, asked.model)
        self._candidates = self._found.candidates
        self._taken, self._routes = self._route()
        self._budgets, self._counted = self._find_budgets()
        self._hold = self._worst_case()
        self._unasked = False  # whether the counters could not be reached

    def explain(self) -> Explanation:
        """What would become of the call."""
        limits, budgets = self._limits(), self._budget_states()
        steps = [*self._questions(), *self._counters(limits, budgets)]
        asked = self._asked
        title = _(
            "Token %(token)s of service %(service)s, %(organization)s: %(endpoint)s, %(model)s, at %(time)s. "
            "A dry run: nothing is counted."
        ) % {
            **self._whose(),
            "endpoint": asked.endpoint,
            "model": _("model %(model)s") % {"model": asked.model} if asked.model else _("no model named"),
            "time": f"{asked.at.astimezone(self._zone):%Y-%m-%d %H:%M %Z}",
        }
        return self._explanation(
            title,
            steps=steps,
            limits=limits,
            budgets=budgets,
        )

    def explain_recorded(self, record: RequestRecord) -> Explanation:
        """What was decided of it."""
        token = self._token
        decision = read_decision(record.decision) if record.decision else None
        notes = list(changes_since(record.created_at, token, self._policy))
        if decision is None:
            notes.append(_("No limit and no budget was asked for this request."))
        elif decision.unasked:
            notes.append(_("The counters could not be reached, and the policy lets calls pass then."))
        title = _(
            "Request %(request)s: token %(token)s of service %(service)s, %(organization)s. "
            "Questions are answered by the policies as they are now; limits and budgets are those of that moment."
        ) % {"request": record.shown_id, **self._whose()}
        found = self._explanation(
            title,
            steps=list(self._questions(of_the_past=True)),
            limits=tuple(limits_then(decision, self._policy)) if decision else (),
            budgets=tuple(budgets_then(decision, record.created_at, self._zone)) if decision else (),
            facts={
                "time": record.created_at,
                "endpoint": record.endpoint,
                "model": record.model_asked,
                "served": record.model_served,
                "status": record.status,
                "error": record.error_code,
                "cost": record.cost_usd,
                "flags": tuple(record.flags),
                "held": Decimal(decision.hold) / _NANO if decision else None,
                "attempts": tuple(attempt_text(attempt) for attempt in record.attempts),
            },
            notes=tuple(notes),
        )
        if decision is None or not decision.skipped:
            return found
        then = tuple(RouteSeen(label, "", "", reason) for label, reason in decision.skipped)
        return replace(found, routes=then + tuple(route for route in found.routes if not route.skipped))

    def _whose(self) -> dict[str, Any]:
        return {"token": self._token, "service": self._token.service, "organization": self._organization}

    def _explanation(self, title: str, **parts: Any) -> Explanation:
        policy = self._policy
        names = [name for name in RULE_FIELDS if name in policy.sources]
        return Explanation(
            title=title,
            zone=self._zone,
            asked=self._asked,
            layers=policy.layers,
            held=tuple((name, self._held(name), policy.sources[name]) for name in names),
            routes=tuple(self._routes),
            **parts,
        )

    def _held(self, name: str) -> Any:
        value = getattr(self._policy, name)
        if name != "pinned_credential":
            return value
        credential = Credential.objects.filter(pk=value).first()
        return value if credential is None else credential.label

    # --- Who asks, and for what: the gateway's questions before money ---

    def _questions(self, *, of_the_past: bool = False) -> Iterator[Step]:
        asked, policy, token = self._asked, self._policy, self._token
        if not of_the_past:  # what a token is worth now says nothing about then
            yield self._token_step()
        if not asked.address and any(rules.allowed_networks for rules in policy.layers):
            yield Step("network", "open", _("say where the call comes from (--address)"))
        else:
            yield _by_list(
                "network", NetworkNotAllowed, policy.network_denied(asked.address), asked.address or _("anywhere")
            )
        local = date_text(asked.at.astimezone(self._zone), "D H:i")
        yield _by_list("hours", HoursNotAllowed, policy.hours_denied(asked.at, self._zone), f"{local} {self._zone.key}")
        yield _by_list("endpoint", EndpointNotAllowed, policy.endpoint_denied(asked.endpoint), asked.endpoint)
        if token.scopes and asked.endpoint not in token.scopes:
            words = {"scopes": ", ".join(token.scopes)}
            yield _refusal("scopes", EndpointNotAllowed, _("the token's scopes hold %(scopes)s alone") % words)
        else:
            yield Step("scopes", "passes", _("hold this endpoint") if token.scopes else _("all endpoints"))
        if not asked.model:
            if asked.endpoint != "models":
                yield Step("model", "open", _("say which model (--model)"))
            return
        yield self._known_step()
        names = (asked.model, self._found.plain) if self._found.plain else (asked.model,)
        yield _by_list("model", ModelNotAllowed, policy.model_denied(*names), asked.model)
        if any(not candidate.unusable for candidate in self._candidates):
            yield self._route_step()
        yield from self._cap_steps()
        if self._taken:
            yield self._price_step()

    def _token_step(self) -> Step:
        token = self._token
        state = token.state(self._asked.at)
        if state == TokenState.REVOKED:
            return _refusal("token", TokenRevoked, _("it was revoked"))
        if state == TokenState.EXPIRED:
            words = {"time": f"{token.expires_at:%Y-%m-%d %H:%M}"}
            return _refusal("token", TokenExpired, _("it expired on %(time)s UTC") % words)
        if token.service.disabled_at is not None or self._organization.suspended_at is not None:
            return _refusal("token", TokenSuspended, _("its service is disabled or its organization suspended"))
        return Step("token", "passes", _("live"))

    def _known_step(self) -> Step:
        found = self._found
        if found.meaning is None:
            why = (
                _("%(model)s is listed, but disabled")
                if found.is_disabled
                else _("%(model)s is not listed for this organization")
            )
            return _refusal("known", ModelNotFound, why % {"model": self._asked.model})
        if all(candidate.unusable for candidate in self._candidates):
            reasons = "; ".join(f"{each.credential.label}: {each.unusable}" for each in self._candidates)
            nobody = _("%(meaning)s, which no credential serves") % {"meaning": found.says}
            return _refusal("known", NoCredential, reasons or nobody)
        return Step("known", "passes", _("%(meaning)s, which a credential serves") % {"meaning": found.says})

    def _route_step(self) -> Step:
        if self._taken:
            best = [each.credential.label for each in self._taken if each.tier == self._taken[0].tier]
            sharing = _(" or ").join(dict.fromkeys(best))
            return Step("route", "passes", _("%(credentials)s is asked first") % {"credentials": sharing})
        reasons = "; ".join(f"{route.credential}: {route.skipped}" for route in self._routes)
        why = _("nothing that serves the model may be called (%(reasons)s)") % {"reasons": reasons}
        return _refusal("route", ProviderNotAllowed, why)

    def _cap_steps(self) -> Iterator[Step]:
        asked, policy = self._asked, self._policy
        if (most := policy.max_input_tokens) is not None:
            words: dict[str, Any] = {"most": most, "source": policy.sources["max_input_tokens"].describe(_)}
            if asked.input_bytes is None:
                unsaid = _("at most %(most)d tokens by %(source)s: say how much is sent (--input-bytes)")
                yield Step("input", "open", unsaid % words)
            elif (about := _input_tokens(asked.input_bytes)) > most:
                why = _("about %(about)d tokens, and %(source)s allows %(most)d")
                yield _refusal("input", TooManyInputTokens, why % {**words, "about": about})
            else:
                fits = _("about %(about)d of %(most)d tokens that %(source)s allows")
                yield Step("input", "passes", fits % {**words, "about": about})
        if (cap := policy.max_output_tokens) is not None and asked.endpoint not in OUTPUTLESS:
            words = {
                "cap": cap,
                "source": policy.sources["max_output_tokens"].describe(_),
                "asked": asked.output_tokens,
            }
            if cap == 0:
                yield _refusal("output", PolicyRefusal, _("no output is allowed by %(source)s") % words)
            elif asked.endpoint in WORDLESS:
                unbound = _("%(source)s allows %(cap)d tokens, which bound no pictures and no speech")
                yield Step("output", "passes", unbound % words)
            elif asked.output_tokens is None or asked.output_tokens > cap:
                changed = _("the request is changed to ask for %(cap)d tokens, by %(source)s")
                yield Step("output", "passes", changed % words)
            else:
                yield Step("output", "passes", _("%(asked)d of %(cap)d tokens that %(source)s allows") % words)

    # --- Routes and prices ---

    def _route(self) -> tuple[list[Candidate], list[RouteSeen]]:
        """The candidates that may be asked, best first; and all of them as shown."""
        usable = [candidate for candidate in self._candidates if not candidate.unusable]
        taken, skipped = select_routes(self._policy, usable, _)
        reasons = iter(reason for _label, reason in skipped)  # as those that are left out; labels may repeat
        shown = [_route_seen(candidate, "") for candidate in taken]
        left_out = (candidate for candidate in self._candidates if candidate not in taken)
        shown += [_route_seen(candidate, candidate.unusable or next(reasons)) for candidate in left_out]
        return list(taken), shown

    def _price_step(self) -> Step:
        rule = self._policy.unpriced
        words = {"source": self._policy.sources["unpriced"].describe(_), "rule": rule}
        if self._priced is not None:
            known = f"{self._priced.provider}/{self._priced.model}"
            return Step("price", "passes", _("known, as %(model)s") % {"model": known})
        if self._asked.endpoint == MODERATIONS:
            return Step("price", "passes", _("not known: moderations without a price are free"))
        if rule == "deny":
            return _refusal("price", ModelUnpriced, _("not known: always denied (%(source)s: %(rule)s)") % words)
        if rule == "deny_with_budget" and self._counted:
            return _refusal("price", ModelUnpriced, _("not known: a budget applies (%(source)s: %(rule)s)") % words)
        if rule == "allow":
            return Step("price", "passes", _("not known, and allowed (%(source)s: %(rule)s)") % words)
        flagged = _("not known, and allowed (%(source)s: %(rule)s); the record is flagged")
        return Step("price", "passes", flagged % words)

    def _worst_case(self) -> Decimal | None:
        """USD that a budget holds for the call at most; None: not known."""
        self._priced = sheet_of(self._taken[0], self._organization, self._asked.at) if self._taken else None
        asked, cap = self._asked, self._policy.max_output_tokens
        if self._priced is None or asked.input_bytes is None or asked.endpoint in WORDLESS:
            return None
        output = asked.output_tokens if asked.output_tokens is not None else longest_output(self._taken[0].row)
        output = output if cap is None else min(output, cap)
        pico = self._priced.bound(
            input_tokens=asked.input_bytes, output_tokens=0 if asked.endpoint in OUTPUTLESS else output
        )
        return None if pico is None else Decimal(-(-pico // 1000)) / _NANO

    # --- Limits and budgets, as they are ---

    def _limits(self) -> tuple[LimitSeen, ...]:
        limits = [limit for limit in self._policy.limits if limit.scope != "end_user" or self._asked.end_user]
        if not limits:
            return ()
        states = reading.limit_states(limits, self._asked.end_user)
        self._unasked = self._unasked or states is None
        known: Sequence[LimitState | None] = [None for _ in limits] if states is None else states
        return tuple(
            LimitSeen(
                scope=limit.scope,
                subject=limit.subject,
                kind=limit.kind,
                limit=limit.limit,
                used=None if state is None else state.used,
                remaining=None if state is None else state.remaining,
                reset_seconds=None if state is None else state.reset_seconds,
                source=Source(limit.layer, limit.policy_name).describe(_),
                refuses=state is not None and state.remaining < (self._tokens() if limit.kind == "tokens" else 1),
            )
            for limit, state in zip(limits, known, strict=True)
        )

    def _tokens(self) -> int:
        """Tokens that limits take for the call, as far as is known: one at least."""
        asked = self._asked
        return max(1, _input_tokens(asked.input_bytes or 0) + (asked.output_tokens or 0))

    def _find_budgets(self) -> tuple[dict[UUID, Budget], tuple[Counted, ...]]:
        token, asked, layers = self._token, self._asked, self._policy.layers
        with connection.cursor() as cursor:
            cursor.execute(
                TOKEN_BUDGETS_SQL,
                {
                    "organization": token.organization_id,
                    "service": token.service_id,
                    "token": token.pk,
                    "policies": [UUID(rules.policy_id) for rules in layers],
                },
            )
            rows = [dict(zip(BUDGET_COLUMNS, row, strict=True)) for row in cursor.fetchall()]
        rules = budget_rules(rows, layers, self._organization.timezone)
        question = request(
            token.organization_id.hex,
            token.pk.hex,
            (),
            rules,
            end_user=asked.end_user,
            tags=asked.tags,
            at=asked.at.timestamp(),
        )
        return budget_rows([row["id"] for row in rows]), question.budgets

    def _budget_states(self) -> tuple[BudgetSeen, ...]:
        if not self._counted:
            return ()
        found = reading.budget_counters(self._counted)
        self._unasked = self._unasked or found is None
        counters = [None for _ in self._counted] if found is None else found
        return tuple(
            self._budget_seen(each, None if counter is None else (counter.spent, counter.held))
            for each, counter in zip(self._counted, counters, strict=True)
        )

    def _budget_seen(self, each: Counted, counted: tuple[int, int] | None) -> BudgetSeen:
        rule = each.rule
        if counted is None:
            subject = each.end_user or rule.tag or rule.subject_id
            spent = ledger_spent(rule.holder or rule.scope, self._token.organization_id, subject, each.span)
            held = None
        else:
            spent, held = Decimal(counted[0]) / _NANO, Decimal(counted[1]) / _NANO
        limit = Decimal(rule.limit_nano) / _NANO
        remaining = limit - spent - (held or 0)
        needed = self._hold
        full = remaining < needed if needed is not None else remaining <= 0
        return BudgetSeen(
            id=rule.id.hex,
            label=budget_label(self._budgets.get(rule.id), rule.id.hex),
            limit_usd=limit,
            spent_usd=spent,
            held_usd=held,
            remaining_usd=remaining,
            resets_at=None if each.span.ends == float("inf") else datetime.fromtimestamp(each.span.ends, UTC),
            action="block" if rule.blocks else "alert",
            refuses=rule.blocks and full,
        )

    def _counters(self, limits: Sequence[LimitSeen], budgets: Sequence[BudgetSeen]) -> Iterator[Step]:
        if self._unasked:
            if self._policy.store_failure == "open":
                yield Step("counters", "passes", _("cannot be reached, and the policy lets calls pass then"))
            else:
                source = self._policy.sources["store_failure"].describe(_)
                why = _("cannot be reached (%(source)s: closed)") % {"source": source}
                yield _refusal("counters", CountersUnavailable, why)
        full = [limit for limit in limits if limit.refuses]
        if full:
            reasons = "; ".join(_limit_text(each) for each in full)
            yield _refusal("limits", LimitExceeded, _("no room: %(reasons)s") % {"reasons": reasons})
        elif limits:
            yield Step("limits", "passes", _("not known") if self._unasked else _("there is room"))
        else:
            yield Step("limits", "passes", _("none"))
        if any(limit.scope == "end_user" for limit in self._policy.limits) and not self._asked.end_user:
            yield Step("end user", "open", _("a limit counts each end user: name one (--end-user)"))
        yield self._budget_step(budgets)

    def _budget_step(self, budgets: Sequence[BudgetSeen]) -> Step:
        if not budgets:
            return Step("budgets", "passes", _("none"))
        reasons = "; ".join(budget.label for budget in budgets if budget.refuses)
        words = {"reasons": reasons, "usd": "" if self._hold is None else usd_text(self._hold)}
        if reasons and self._hold is None:
            return _refusal("budgets", BudgetExceeded, _("no room: %(reasons)s") % words)
        if reasons:
            return _refusal("budgets", BudgetExceeded, _("no room for up to %(usd)s USD: %(reasons)s") % words)
        if self._hold is None:
            return Step("budgets", "passes", _("there is room"))
        return Step("budgets", "passes", _("there is room for up to %(usd)s USD") % words)


def _refusal(question: str, error: type[GatewayError], says: str) -> Step:
    return Step(question, "refuses", says, error.status, error.code)


def _by_list(question: str, error: type[GatewayError], denial: Denial | None, asked: str) -> Step:
    if denial is not None:
        words = {"asked": asked, "denial": denial.describe(_)}
        return _refusal(question, error, _("%(asked)s is not allowed by %(denial)s") % words)
    return Step(question, "passes", asked)


def _limit_text(limit: LimitSeen) -> str:
    return f"{BudgetScope(limit.scope).label}: {limit.limit} {limit_kind(limit.kind)} ({limit.source})"


def _route_seen(candidate: Candidate, skipped: str) -> RouteSeen:
    return RouteSeen(candidate.credential.label, candidate.credential.provider, candidate.row.upstream, skipped)


def _input_tokens(size: int) -> int:
    return -(-size // _BYTES_A_TOKEN)
