"""The sandbox as a program and as an HTTP server."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.sandbox.conftest import ROOT, running

HELLO: Any = [{"role": "user", "content": "Hello there"}]
BODY = json.dumps({"model": "sandbox-chat", "messages": HELLO}).encode()


def connected(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").removesuffix("/v1").partition(":")
    return socket.create_connection((host, int(port)), timeout=5)


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def request(body: bytes = BODY, extra: bytes = b"") -> bytes:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n%b\r\n" % (len(body), extra)
    return head + body


def open_sockets(pid: int) -> int:
    return sum(str(link.readlink()).startswith("socket:") for link in Path(f"/proc/{pid}/fd").iterdir())


def test_it_says_where_it_listens_and_imports_no_django() -> None:
    code = "import sys; import apps.providers.sandbox.command; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
    command = [sys.executable, "-m", "apps.providers.sandbox", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        process.terminate()
        assert process.wait(timeout=5) == 0
    assert line.startswith("Sandbox provider listening on http://127.0.0.1:")
    assert line.endswith("/v1; answers are canned, no key needed\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_at_once_when_told_to_whatever_it_is_doing(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "apps.providers.sandbox", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        url = process.stdout.readline().split()[4].rstrip(";")
        with connected(url) as connection:
            connection.sendall(request(BODY.replace(b"sandbox-chat", b"sandbox-hang-mid-stream")))
            connection.recv(1)
            process.send_signal(number)
            assert process.wait(timeout=5) == 0
        assert process.stderr.read() == ""


def test_a_taken_port_is_one_clear_sentence(sandbox_url: str) -> None:
    port = sandbox_url.removesuffix("/v1").rpartition(":")[2]
    command = [sys.executable, "-m", "apps.providers.sandbox", "--port", port]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(f"The sandbox cannot listen on 127.0.0.1:{port}: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "options", [["--port", "x"], ["--port", "70000"], ["--fail-rate", "2"], ["--chunks", "0"], ["--fail-rate", "nan"]]
)
def test_senseless_options_are_refused(options: list[str]) -> None:
    command = [sys.executable, "-m", "apps.providers.sandbox", *options]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert f"argument {options[0]}: expected" in result.stderr


def test_faults_of_the_command_line_concern_every_model() -> None:
    with running("--status", "503") as url, openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client:
        with pytest.raises(openai.InternalServerError) as refused:
            client.chat.completions.create(model="sandbox-chat", messages=HELLO)
        assert refused.value.status_code == 503
        with pytest.raises(openai.InternalServerError):
            client.embeddings.create(model="sandbox-embed", input="a")
        assert client.models.list().data


def test_a_rate_of_failures_is_kept_and_repeatable() -> None:
    def outcomes() -> list[int]:
        with (
            running("--fail-rate", "0.3", "--status", "429", "--seed", "7") as url,
            httpx.Client(base_url=url) as client,
        ):
            return [client.post("/chat/completions", content=BODY).status_code for _ in range(100)]

    first = outcomes()
    assert first == outcomes()
    assert set(first) == {200, 429}
    assert 15 <= first.count(429) <= 45


def test_lengths_and_pauses_can_be_set_for_all() -> None:
    with (
        running("--chunks", "9", "--chunk-ms", "1", "--latency-ms", "1") as url,
        openai.OpenAI(base_url=url, api_key="k") as client,
    ):
        stream = client.chat.completions.create(model="sandbox-chat", messages=HELLO, stream=True)
        assert len([chunk for chunk in stream if chunk.choices[0].delta.content]) == 9


def test_large_bodies_are_refused_while_they_arrive() -> None:
    with running("--max-body-bytes", "1000") as url:
        for framing in (
            b"Content-Length: 5000\r\n\r\n" + b"x" * 1001,
            b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001,
        ):
            with connected(url) as connection:
                connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\n" + framing)
                answer = read_all(connection)
            assert answer.startswith(b"HTTP/1.1 413 ")
            assert b"request_too_large" in answer
        assert httpx.post(f"{url}/chat/completions", content=BODY).status_code == 200


def test_endless_headers_and_what_is_not_http_are_refused(sandbox_url: str) -> None:
    with connected(sandbox_url) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 10_000)
        assert connection.recv(12) == b"HTTP/1.1 431"
    with connected(sandbox_url) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 400 ")


def test_requests_share_a_connection_even_when_sent_ahead(sandbox_url: str) -> None:
    slow = BODY.replace(b"sandbox-chat", b"sandbox-slow-20ms")
    with connected(sandbox_url) as connection:
        connection.sendall(request(slow) + request() + request(extra=b"Connection: close\r\n"))
        answer = read_all(connection)
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.index(b'"model":"sandbox-slow-20ms"') < answer.index(b'"model":"sandbox-chat"')


def test_a_client_that_asks_first_is_told_to_continue(sandbox_url: str) -> None:
    with connected(sandbox_url) as connection:
        head, body = request(extra=b"Expect: 100-continue\r\nConnection: close\r\n").split(b"\r\n\r\n", 1)
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert read_all(connection).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/v1/chat/completions", 405, "POST"),
        ("POST", "/v1/models", 405, "GET, HEAD"),
        ("GET", "/v1/nothing", 404, None),
        ("POST", "/", 404, None),
        ("GET", "/healthz", 200, None),
        ("GET", "/v1/models/?limit=1", 200, None),
    ],
)
def test_paths_and_verbs(sandbox_url: str, method: str, path: str, status: int, allow: str | None) -> None:
    answer = httpx.request(method, sandbox_url.removesuffix("/v1") + path)
    assert (answer.status_code, answer.headers.get("allow")) == (status, allow)
    if status >= 400:
        assert answer.json()["error"]["type"] == "invalid_request_error"


def test_head_has_no_body(sandbox_url: str) -> None:
    with httpx.Client(base_url=sandbox_url) as client:
        assert client.head("/models").content == b""
        assert client.get("/models").status_code == 200


def test_nothing_is_left_of_clients_that_leave() -> None:
    command = [sys.executable, "-m", "apps.providers.sandbox", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        url = process.stdout.readline().split()[4].rstrip(";")
        before = open_sockets(process.pid)
        leaving = [connected(url) for _ in range(20)]
        for number, connection in enumerate(leaving):
            model = (b"sandbox-hang", b"sandbox-drip", b"sandbox-slow", b"sandbox-long-10000")[number % 4]
            connection.sendall(request(BODY.replace(b"sandbox-chat", model).replace(b"{", b'{"stream":true,', 1)))
        for connection in leaving:
            connection.close()
        with httpx.Client(base_url=url) as client:
            while open_sockets(process.pid) > before + 1:  # one for this client; a leak ends in the test's timeout
                assert client.get("/models").status_code == 200
        process.terminate()
        assert process.wait(timeout=5) == 0
        assert process.stderr.read() == ""  # the loop complains there about writes to connections that are gone
