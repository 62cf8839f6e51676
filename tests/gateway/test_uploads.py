"""Uploads: sound written down, pictures changed; through the disk, never twice, and billed by what they used."""

import concurrent.futures
import io
import os
import socket
import threading
import wave
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from apps.gateway.uploads.disk import PIECE
from tests.gateway.test_refusals import refused
from tests.support.bodies import CREATED, Json, event
from tests.support.gateway import GatewayProcess, eventually
from tests.support.governed import budget, priced, ruled
from tests.support.provider import CLOSE, RESET, FakeProvider
from tests.support.tenant import Tenant, tenant
from tests.support.uploads import fields_of, parts_of

SSE = {"Content-Type": "text/event-stream"}
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
BY_SECOND: dict[str, Any] = {"per_second": Decimal(100)}  # whisper-1's
IN_TOKENS: dict[str, Any] = {"input": Decimal("2.5"), "audio_input": Decimal(6), "output": Decimal(10)}
HEARD: Json = {"text": "Hello", "usage": {"type": "duration", "seconds": 9}}
TOKENS: Json = {
    "type": "tokens",
    "input_tokens": 114,
    "input_token_details": {"text_tokens": 14, "audio_tokens": 100},
    "output_tokens": 45,
    "total_tokens": 159,
}


def a_wave(seconds: float) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(8000)
        target.writeframes(b"\0" * round(seconds * 8000) * 2)
    return out.getvalue()


def hear(acme: Tenant, sound: bytes | None = None, **options: Any) -> Any:
    asked: Any = {"model": "gpt-test", "file": ("a.wav", a_wave(9) if sound is None else sound), **options}
    return acme.client().audio.transcriptions.create(**asked)


# --- What goes upstream ---


def test_a_transcription_goes_to_the_provider_as_it_came(acme: Tenant, upstream: FakeProvider) -> None:
    sound = os.urandom(3 * PIECE)
    upstream.answers(HEARD)
    answer = hear(acme, sound, language="de", timestamp_granularities=["word", "segment"])
    assert answer.text == "Hello"
    (request,) = upstream.requests
    assert request.path == "/v1/audio/transcriptions"
    assert request.header("content-length") == str(len(request.body))
    assert [name.lower() for name, _ in request.headers].count("content-type") == 1
    assert fields_of(request) == {
        "model": ["gpt-test"],
        "language": ["de"],
        "timestamp_granularities[]": ["word", "segment"],
    }
    ((name, filename, _, content),) = [part for part in parts_of(request) if part[1] is not None]
    assert (name, filename, content == sound) == ("file", "a.wav", True)
    assert acme.token not in str(request.headers)
    record = acme.record()
    assert (record.endpoint, record.status, record.model_asked) == ("transcriptions", 200, "gpt-test")
    assert record.bytes_in > len(sound)


def test_the_model_may_stand_after_the_file_and_gets_the_providers_name(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(HEARD)
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\nID3sound\r\n'
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nrenamed\r\n--b--\r\n'
    )
    response = acme.http().post(
        "/v1/audio/transcriptions", content=body, headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert response.status_code == 200, response.text
    assert fields_of(upstream.requests[0])["model"] == ["upstream/other"]


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1", "/openai", "/openai/deployments/gpt-test"])
@pytest.mark.parametrize(
    ("path", "name", "file"),
    [
        ("audio/transcriptions", "transcriptions", "file"),
        ("audio/translations", "audio_translations", "file"),
        ("images/edits", "image_edits", "image[]"),
        ("images/variations", "image_variations", "image"),
    ],
)
def test_every_path_leads_to_the_same_endpoint(everyday: Tenant, prefix: str, path: str, name: str, file: str) -> None:
    everyday.upstream.reset()
    everyday.upstream.answers({"text": "a", "data": []})
    data = {} if "deployments" in prefix else {"model": "gpt-test"}
    response = everyday.http().post(f"{prefix}/{path}?api-version=2024-10-21", data=data, files={file: b"content"})
    assert response.status_code == 200, response.text
    request = everyday.upstream.next_request()
    assert (request.path, fields_of(request)["model"]) == (f"/v1/{path}", ["gpt-test"])
    assert everyday.record(response.headers["x-request-id"]).endpoint == name


def test_azures_client_reaches_azures_deployment(acme: Tenant, upstream: FakeProvider) -> None:
    acme.add_route(
        "whisper", upstream.url, provider="azure_openai", api_version="2024-10-21", upstream_name="my-whisper"
    )
    upstream.answers(HEARD)
    client = openai.AzureOpenAI(
        azure_endpoint=acme.gateway.url, api_key=acme.token, api_version="2024-10-21", max_retries=0
    )
    with client:
        answer = client.audio.transcriptions.create(model="whisper", file=("a.wav", a_wave(1)))
    assert answer.text == "Hello"
    assert upstream.requests[0].path == "/openai/deployments/my-whisper/audio/transcriptions?api-version=2024-10-21"


# --- What it costs ---


def test_seconds_are_billed_as_the_provider_tells_them(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **BY_SECOND)
    upstream.answers(HEARD)
    hear(acme)
    record = acme.record()
    assert (record.other_usage, record.cost_usd) == ({"seconds": 9}, Decimal("0.0009"))
    assert (record.usage_estimated, record.flags) == (False, [])


def test_tokens_are_billed_as_the_provider_tells_them(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **IN_TOKENS)
    upstream.answers({"text": "Hello", "usage": TOKENS})
    hear(acme)
    record = acme.record()
    assert (record.input_tokens, record.audio_input_tokens, record.output_tokens) == (14, 100, 45)
    assert record.cost_usd == (14 * Decimal("2.5") + 100 * 6 + 45 * 10) / 10**6
    assert not record.usage_estimated


@pytest.mark.parametrize("kind", ["text", "srt", "vtt"])
def test_plain_text_passes_as_it_comes_and_is_billed_by_the_sounds_length(
    acme: Tenant, upstream: FakeProvider, kind: str
) -> None:
    priced(acme, **BY_SECOND)
    upstream.answers("1\n00:00 --> 00:09\nHello\n", headers=PLAIN)
    response = acme.http().post(
        "/v1/audio/transcriptions",
        data={"model": "gpt-test", "response_format": kind},
        files={"file": ("a.wav", a_wave(9))},
    )
    assert response.text == "1\n00:00 --> 00:09\nHello\n"
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    record = acme.record()
    assert (record.other_usage, record.cost_usd) == ({"seconds": 10}, Decimal("0.001"))  # its header counts as sound
    assert record.usage_estimated


def test_text_of_a_model_billed_in_tokens_is_estimated(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **IN_TOKENS)
    upstream.answers("Hello", headers=PLAIN)
    hear(acme, a_wave(59), response_format="text")
    record = acme.record()
    assert (record.audio_input_tokens, record.output_tokens, record.usage_estimated) == (600, 240, True)
    assert record.flags == []


def test_a_stream_of_events_passes_and_tells_its_usage(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **IN_TOKENS)
    second = threading.Event()
    steps = [
        event({"type": "transcript.text.delta", "delta": "Hel"}),
        second,
        event({"type": "transcript.text.delta", "delta": "lo"}),
        event({"type": "transcript.text.done", "text": "Hello", "usage": TOKENS}),
    ]
    upstream.streams_raw(steps, headers=SSE)
    seen = []
    for each in hear(acme, stream=True):
        seen.append(each.type)
        second.set()
    assert seen == ["transcript.text.delta", "transcript.text.delta", "transcript.text.done"]
    assert fields_of(upstream.requests[0])["stream"] == ["true"]
    record = acme.record()
    assert (record.stream, record.output_tokens, record.usage_estimated) == (True, 45, False)


def test_a_stream_that_breaks_off_is_billed_by_the_sounds_length(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **BY_SECOND)
    upstream.streams_raw([event({"type": "transcript.text.delta", "delta": "Hel"}), CLOSE], headers=SSE)
    with pytest.raises(openai.APIError):
        list(hear(acme, stream=True))
    record = acme.record()
    assert (record.cost_usd, record.usage_estimated) == (Decimal("0.001"), True)


def test_a_budget_holds_what_a_wave_will_cost_exactly(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, per_second=Decimal(1_000_000))  # a USD each
    budget(acme, "10")
    error = refused(lambda: hear(acme, a_wave(10.5)), openai.APIStatusError, "budget_exceeded")
    assert error.status_code == 402
    assert upstream.requests == []
    upstream.answers(HEARD)
    hear(acme, a_wave(9))
    decision = acme.records(2)[1].decision
    assert decision is not None
    assert decision["hold"] == 10 * 10**9


def test_a_budget_holds_the_longest_that_packed_sound_can_be(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, per_second=Decimal(1_000_000))
    budget(acme, "1000")
    upstream.answers(HEARD, always=True)
    hear(acme, b"\xff\xfb\x90\x00" + b"\0" * 99_996)  # MP3
    hear(acme, b"OggS" + b"\0" * 99_996)
    holds = [record.decision["hold"] for record in acme.records(2) if record.decision]
    assert holds == [100 * 10**9, 134 * 10**9]


def test_limits_of_tokens_count_the_sound(acme: Tenant, upstream: FakeProvider) -> None:
    ruled(acme, tokens_per_minute=500)
    upstream.answers(HEARD, always=True)
    hear(acme, a_wave(20))
    refused(lambda: hear(acme, a_wave(80)), openai.RateLimitError, "rate_limit_exceeded")


def test_edits_are_billed_with_the_pictures_that_came(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, input=Decimal(5), image_input=Decimal(10), image_output=Decimal(40))
    usage = {
        "input_tokens": 510,
        "output_tokens": 1056,
        "total_tokens": 1566,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 500},
    }
    upstream.answers({"created": CREATED, "data": [{"b64_json": "QUJD"}], "usage": usage})
    answer = acme.client().images.edit(
        model="gpt-test", image=[("a.png", b"1"), ("b.png", b"2")], mask=("m.png", b"3"), prompt="A gate", n=1
    )
    assert answer.data[0].b64_json == "QUJD"
    names = [name for name, filename, *_ in parts_of(upstream.requests[0]) if filename is not None]
    assert sorted(names) == ["image[]", "image[]", "mask"]
    record = acme.record()
    assert (record.endpoint, record.image_input_tokens, record.image_output_tokens) == ("image_edits", 500, 1056)
    assert record.cost_usd == (10 * 5 + 500 * 10 + 1056 * Decimal(40)) / 10**6


def test_variations_are_billed_by_the_picture(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, per_image=Decimal(20_000))
    budget(acme, "0.05")

    def vary(count: int) -> httpx.Response:
        data = {"model": "gpt-test", "n": str(count)}
        return acme.http().post("/v1/images/variations", data=data, files={"image": ("a.png", b"1")})

    assert vary(3).json()["error"]["code"] == "budget_exceeded"
    upstream.answers({"created": CREATED, "data": [{"url": "https://x"}] * 2})
    assert vary(2).status_code == 200
    assert acme.records(2)[1].cost_usd == Decimal("0.04")


# --- Refusals ---


@pytest.mark.parametrize(
    ("data", "files", "param"),
    [
        ({}, {"file": b"x"}, "model"),
        ({"model": "gpt-test"}, {"other": b"x"}, "file"),
        ({"model": "gpt-test"}, {"file": b""}, "file"),
        ({"model": ["gpt-test", "renamed"]}, {"file": b"x"}, "model"),
        ({"model": "gpt-test", "stream": "yes"}, {"file": b"x"}, "stream"),
        ({}, {"file": b"x", "model": ("m", b"gpt-test")}, "model"),
    ],
)
def test_a_form_that_asks_for_nothing_clear_is_refused(everyday: Tenant, data: Any, files: Any, param: str) -> None:
    everyday.upstream.reset()
    response = everyday.http().post("/v1/audio/transcriptions", data=data, files=files)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param), response.text
    assert everyday.upstream.requests == []


def test_json_where_a_form_is_due_is_refused(everyday: Tenant) -> None:
    response = everyday.http().post("/v1/audio/transcriptions", json={"model": "gpt-test"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_form")


def test_an_unknown_model_is_refused_after_the_form_is_read(acme: Tenant, upstream: FakeProvider) -> None:
    refused(lambda: hear(acme, model="nobody"), openai.NotFoundError, "model_not_found")
    assert upstream.requests == []


def test_a_providers_refusal_is_the_clients(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.fails(400, "Not a sound.", kind="invalid_request_error", code="unsupported_format")
    with pytest.raises(openai.BadRequestError) as caught:
        hear(acme)
    assert caught.value.code == "unsupported_format"


def test_an_upload_beyond_the_bound_is_refused_while_it_comes() -> None:
    with (
        GatewayProcess({"MAX_UPLOAD_BYTES": "1M"}) as gateway,
        FakeProvider() as upstream,
        tenant(gateway, upstream) as acme,
    ):
        response = acme.http().post(
            "/v1/audio/transcriptions", data={"model": "gpt-test"}, files={"file": b"x" * (1 << 20)}
        )
        assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")
        assert "MAX_UPLOAD_BYTES" in response.json()["error"]["message"]
        # Without a length, as it comes in chunks: the end never does.
        head = (
            f"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {acme.token}\r\n"
            "content-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        start = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as raw:
            raw.sendall(head.encode() + b"%x\r\n%b\r\n" % (len(start), start))
            for _ in range(12):
                raw.sendall(b"%x\r\n%b\r\n" % (100_000, b"x" * 100_000))
            assert raw.recv(12) == b"HTTP/1.1 413"
        upstream.answers(HEARD)
        assert hear(acme, b"x" * 500_000).text == "Hello"


def test_uploads_beyond_the_space_for_them_wait_for_their_turn() -> None:
    variables = {"UPLOAD_SPACE": "2M"}
    with GatewayProcess(variables) as gateway, FakeProvider() as upstream, tenant(gateway, upstream) as acme:
        upstream.hangs()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            first = pool.submit(lambda: hear(acme, b"x" * 1_500_000))
            upstream.next_request()
            error = refused(lambda: hear(acme, b"x" * 1_500_000), openai.InternalServerError, "uploads_unavailable")
            assert error.response.headers["retry-after"] == "2"
            upstream.close_idle_connections()
            acme._closing.close()
            with pytest.raises(openai.APIError):
                first.result(timeout=30)


# --- Never twice ---


@pytest.mark.parametrize("how", ["503", "reset", "429"])
def test_an_upload_that_the_provider_has_begun_to_take_is_not_sent_again(how: str) -> None:
    with (
        GatewayProcess({"UPSTREAM_ATTEMPTS": "3"}) as gateway,
        FakeProvider() as upstream,
        tenant(gateway, upstream) as acme,
    ):
        acme.add_model("gpt-other", credential=None)
        if how == "reset":
            upstream.sends(RESET)
        else:
            upstream.fails(int(how))
        upstream.answers(HEARD, always=True)
        with pytest.raises(openai.APIStatusError) as caught:
            hear(acme)
        assert caught.value.status_code == (502 if how == "reset" else int(how))
        assert len(upstream.requests) == 1
        assert hear(acme).text == "Hello"


def test_an_upload_that_never_reached_a_provider_goes_to_the_next() -> None:
    with (
        GatewayProcess({"UPSTREAM_ATTEMPTS": "3"}) as gateway,
        FakeProvider() as upstream,
        tenant(gateway, upstream) as acme,
    ):
        acme.add_credential("http://127.0.0.1:9/v1", label="dead", priority=1)
        acme.add_credential(upstream.url + "/v1", label="alive", priority=2)
        acme.add_model("anywhere", credential=None)
        sound = os.urandom(2 * PIECE + 11)
        upstream.answers(HEARD)
        assert hear(acme, sound, model="anywhere").text == "Hello"
        assert next(part for part in parts_of(upstream.requests[0]) if part[0] == "file")[3] == sound
        assert [attempt["credential"] for attempt in acme.record().attempts] == ["dead", "alive"]


def test_a_provider_that_answers_before_it_has_heard_all_is_sent_no_more(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers({"error": {"message": "Too large.", "code": "too_large"}}, status=413, before_body=True)
    with pytest.raises(openai.APIStatusError) as caught:
        hear(acme, b"x" * (24 << 20))
    assert (caught.value.status_code, caught.value.code) == (413, "too_large")
    upstream.answers(HEARD)
    assert hear(acme).text == "Hello"


def test_a_client_that_leaves_during_the_call_ends_it_upstream(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **BY_SECOND)
    upstream.hangs()
    with pytest.raises(openai.APITimeoutError):
        acme.client(timeout=0.5).audio.transcriptions.create(model="gpt-test", file=("a.wav", a_wave(9)))
    assert upstream.hung_up.wait(timeout=5)
    record = acme.record()
    assert (record.status, record.other_usage, record.usage_estimated) == (499, {"seconds": 10}, True)


def test_a_client_that_leaves_in_its_upload_leaves_a_record_and_no_file(acme: Tenant, gateway: GatewayProcess) -> None:
    head = (
        f"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {acme.token}\r\n"
        "content-type: multipart/form-data; boundary=b\r\ncontent-length: 90000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as raw:
        raw.sendall(head.encode() + b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n')
        raw.sendall(b"x" * 2_000_000)
        eventually(lambda: open_uploads(gateway), what="the upload's file")
    assert acme.record().status == 499
    eventually(lambda: not open_uploads(gateway), what="the end of the upload's file")


def open_uploads(gateway: GatewayProcess) -> list[str]:
    """What the gateway's process has open below its folder of uploads; none of it has a name."""
    found = []
    for descriptor in Path(f"/proc/{gateway.pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if "/uploads/" in target:
            assert target.endswith("(deleted)")
            found.append(target)
    return found


# --- Memory ---


def test_concurrent_uploads_pass_through_the_disk_and_not_through_memory() -> None:
    """A dozen uploads of 25 MB at the same time: less than two mebibytes for each."""
    count, size = 12, 25 << 20
    with (
        GatewayProcess({"UPSTREAM_ATTEMPTS": "1"}) as gateway,
        FakeProvider() as upstream,
        tenant(gateway, upstream) as acme,
    ):
        upstream.answers(HEARD, always=True)
        hear(acme, b"x" * (1 << 20))  # what a first call loads stays
        peaks = [gateway.memory]
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(0.01):
                peaks.append(gateway.memory)

        watching = threading.Thread(target=watch)
        watching.start()
        content = b"x" * size
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            answers = [pool.submit(lambda: hear(acme, content)) for _ in range(count)]
            assert [answer.result(timeout=60).text for answer in answers] == ["Hello"] * count
        stop.set()
        watching.join()
        for request in upstream.requests[1:]:
            assert len(request.body) > size
        assert max(peaks) - peaks[0] < count * (2 << 20), f"{(max(peaks) - peaks[0]) / 1e6:.1f} MB"
