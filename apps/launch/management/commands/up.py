"""`manage.py up`: the whole of Tollgate on one machine, in the foreground."""

import http.client
import signal
import socket
import time
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser, OutputWrapper
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from apps.core.embedded import ServiceError
from apps.core.embedded.processes import die_with_parent, last_lines
from apps.launch import children, demo
from apps.launch.announcement import announcement
from apps.launch.children import ChildPlan
from apps.launch.foundation import Foundation, current_foundation
from apps.launch.headstart import CHECKOUT, migrations_done
from apps.launch.ports import free_port
from apps.launch.supervisor import Child, Supervisor
from apps.launch.terminal import Terminal
from apps.orgs.setup.actions import is_set_up, setup_code

_READY_SECONDS = 90.0
_STOP_ORDER = (("web",), ("worker", "sandbox"))  # running answers first, then what they may still need


class Command(BaseCommand):
    """Migrates, creates the demo at a first start, and runs the processes until told to stop."""

    help = (
        "Run Tollgate here: its databases unless you name your own, web, worker and sandbox. Ctrl-C stops everything."
    )
    requires_system_checks = ()  # `make check` does that; here they would cost half of a start

    def add_arguments(self, parser: CommandParser) -> None:
        """The command line. What runs where is said by the environment: see docs/configuration.md."""
        parser.add_argument(
            "--stop-with-parent",
            action="store_true",
            help="stop when the process that started this one dies, as make may",
        )

    def handle(self, *_args: Any, stop_with_parent: bool = False, **_options: Any) -> None:
        """Returns when told to stop. Raises ServiceError when something does not start, or does not stay up."""
        ground = current_foundation()
        if stop_with_parent:
            die_with_parent(signal.SIGTERM)
        _migrate(ground.terminal)
        migrations_done(ground, settings.DATABASE_URL)
        port = free_port(demo.sandbox_port())
        with ground.terminal.step("demo") as done:
            created = demo.demo_create(sandbox_url=demo.sandbox_url(port))
            done("organization, owner, sandbox, service created" if created else "kept as it is")
        demo.sandbox_moved(port)
        connections.close_all()
        supervisor = Supervisor(ground.terminal)
        with supervisor.signals():
            try:
                self._run(ground, supervisor, port)
            finally:
                ground.folder.withdraw()
                ground.listener.close()  # nobody else may queue for a web that is leaving
                ground.terminal.say("Stopping; running answers may finish first. Ctrl-C again stops at once.")
                supervisor.stop(_STOP_ORDER)
        # The private databases stop last, when manage.py leaves their context.

    def _run(self, ground: Foundation, supervisor: Supervisor, sandbox_port: int) -> None:
        for server, process in ground.services.running:
            supervisor.adopt(Child(server.name, server.log, partial(ground.services.restart, server), process=process))
        plans = [children.web(ground.folder, CHECKOUT, listening=ground.listener.fileno())]
        sandboxed = demo.sandbox_credential() is not None
        if sandboxed:
            plans.append(children.sandbox(ground.folder, CHECKOUT, port=sandbox_port))
        connections.close_all()
        with ground.terminal.step("processes") as done:
            for plan in plans:
                _start(plan, ground, supervisor)
            if not supervisor.watch(_Readiness(ground, sandbox_port if sandboxed else None), tick=0.1):
                return
            # The worker comes last: on a small machine it would only slow down what callers wait for.
            _start(children.worker(ground.folder, CHECKOUT), ground, supervisor)
            done(f"{', '.join(plan.name for plan in plans)} running, worker starting")
        text = announcement(
            url=settings.PUBLIC_URL,
            sign_in_path=demo.demo_sign_in_path(),
            owner=demo.OWNER_EMAIL,
            token=demo.demo_token(),
            logs=ground.folder.logs,
            seconds=time.monotonic() - ground.began,
            setup_code=None if is_set_up() else setup_code(),
        )
        connections.close_all()
        ground.terminal.say(text)
        supervisor.watch()


def _start(plan: ChildPlan, ground: Foundation, supervisor: Supervisor) -> None:
    patience = settings.DRAIN_TIMEOUT + 10 if plan.name == "web" else 20.0
    child = Child(plan.name, plan.log, plan.spawn, patience)
    if plan.name == "web" and ground.early_web is not None:
        child.process, ground.early_web = ground.early_web, None
        supervisor.adopt(child)
    else:
        supervisor.start(child)


def _migrate(terminal: Terminal) -> None:
    """Bring the database up to date; a look at the table of applied migrations where it is."""
    with terminal.step("database") as done:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if plan:
            call_command("migrate", interactive=False, verbosity=1, stdout=_MigrationDots(terminal))
        done(f"{len(plan)} migrations applied" if plan else "up to date")


class _MigrationDots(OutputWrapper):
    """Takes what `migrate` prints and shows a dot for every migration that ends well."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def write(self, msg: str = "", *_style: Any, **_ending: Any) -> None:  # type: ignore[override]  # Django's own form
        """Django's way of printing: a migration's name, and later `OK`."""
        if msg.strip() == "OK":
            self._terminal.tick()

    def flush(self) -> None:
        """Everything is shown already."""

    def isatty(self) -> bool:
        """No colours: the dots are ours."""
        return False


class _Readiness:
    """Whether web answers /readyz with 200 and the sandbox, if there is one, takes calls.

    Raises ServiceError when that takes too long.
    """

    def __init__(self, ground: Foundation, sandbox_port: int | None) -> None:
        self._ground = ground
        self._sandbox_port = sandbox_port
        self._deadline = time.monotonic() + _READY_SECONDS
        self._answer = "nothing"

    def __call__(self) -> bool:
        """Ask once."""
        lagging = "web" if not self._web_is_ready() else "sandbox" if not self._sandbox_listens() else None
        if lagging and time.monotonic() > self._deadline:
            log = self._ground.folder.log(lagging)
            detail = f"; /readyz answers {self._answer}" if lagging == "web" else ""
            raise ServiceError(f"{lagging} does not become ready{detail}. The end of {log}:\n{last_lines(log)}")
        return lagging is None

    def _web_is_ready(self) -> bool:
        address = self._ground.listener.getsockname()
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])  # noqa: S104 - compared, not bound
        client = http.client.HTTPConnection(host, address[1], timeout=0.5)
        try:
            client.request("GET", "/readyz")
            reply = client.getresponse()
            self._answer = f"{reply.status} {reply.read(2000).decode(errors='replace').strip()}"
        except (OSError, http.client.HTTPException):
            return False
        finally:
            client.close()
        return reply.status == http.HTTPStatus.OK

    def _sandbox_listens(self) -> bool:
        if self._sandbox_port is None:
            return True
        try:
            socket.create_connection(("127.0.0.1", self._sandbox_port), timeout=0.5).close()
        except OSError:
            return False
        return True
