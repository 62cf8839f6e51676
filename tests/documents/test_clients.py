"""docs/clients.md says what is really served and what really passes."""

import re

from apps.gateway import dispatch, surfaces
from apps.providers.dialects import anthropic, gemini, openai
from tests.documents.markdown import ROOT, code, rows

PAGE = ROOT / "docs/clients.md"
TABLE = {row[0]: row for row in rows(PAGE)}


def test_headers_that_pass_are_those_on_the_gateways_lists():
    for clients, dialect in (
        ("OpenAI's", openai.DIALECT),
        ("Anthropic's", anthropic.DIALECT),
        ("Gemini's", gemini.DIALECT),
    ):
        said = {name.lower().encode() for name in code(TABLE[f"to the provider, of {clients} clients"][1])}
        assert said - {value for _, value in dialect.defaults} == set(dialect.to_upstream)
    to_client = {name.encode() for name in code(TABLE["to the client"][1])}
    assert to_client == {b"content-type", *dispatch._TO_CLIENT}


def test_paths_that_are_listed_lead_to_their_endpoint():
    for name, endpoint in (
        ("chat completions", surfaces.CHAT_COMPLETIONS),
        ("responses", surfaces.RESPONSES),
        ("completions", surfaces.COMPLETIONS),
        ("embeddings", surfaces.EMBEDDINGS),
        ("moderations", surfaces.MODERATIONS),
        ("image generations", surfaces.IMAGES),
        ("speech", surfaces.SPEECH),
        ("transcriptions", surfaces.TRANSCRIPTIONS),
        ("audio translations", surfaces.AUDIO_TRANSLATIONS),
        ("image edits", surfaces.IMAGE_EDITS),
        ("image variations", surfaces.IMAGE_VARIATIONS),
        ("input tokens", surfaces.INPUT_TOKENS),
        ("compaction", surfaces.COMPACTION),
        ("messages", surfaces.MESSAGES),
        ("count tokens", surfaces.COUNT_TOKENS),
        ("generate content", surfaces.GENERATE_CONTENT),
        ("stream generate content", surfaces.STREAM_GENERATE_CONTENT),
        ("count content", surfaces.COUNT_CONTENT),
        ("embed content", surfaces.EMBED_CONTENT),
        ("batch embed contents", surfaces.BATCH_EMBED_CONTENTS),
        ("rerank", surfaces.RERANK),
        ("realtime", surfaces.REALTIME),
        ("realtime client secrets", surfaces.REALTIME_SECRETS),
        ("models", surfaces.MODELS),
    ):
        paths = [re.sub(r"\{\w+\}", "some-model", path.rpartition(" ")[2]) for path in code(TABLE[name][1])]
        for sent in paths:
            path, _, query = sent.partition("?")
            assert surfaces.find_target(endpoint.method, path, {}, query.encode()).endpoint is endpoint, sent


def test_what_is_kept_is_found_by_the_paths_that_are_listed_and_all_of_it_is_listed():
    found = set()
    for name in ("files", "batches", "stored responses"):
        for sent in code(TABLE[name][1]):
            verb, _, path = sent.partition(" ")
            if path:
                endpoint = surfaces.find_target(verb, path.replace("{id}", "some-id"), {}).endpoint
                found.add((endpoint.method, endpoint.path))
    assert found == {(method, path) for path, methods in surfaces._KEPT.items() for method in methods}
