"""The text that `up` ends on: where things are, and two snippets that work as pasted."""

import shlex
from pathlib import Path

_ISSUE = ".venv/bin/python manage.py issue_token --org demo --service demo --name laptop --quiet"


def announcement(
    *,
    url: str,
    sign_in_path: str | None,
    owner: str,
    token: str | None,
    logs: Path,
    seconds: float,
    setup_code: str | None = None,
) -> str:
    """Everything a newcomer needs. `token` is given at its one and only showing; without it the snippets read TOLLGATE_TOKEN.

    `setup_code` is given where nobody can sign in yet.
    """
    if setup_code:
        console, note = f"{url}/setup/", f"asks for the code {setup_code}, and makes you its owner, once"
    elif sign_in_path:
        console, note = f"{url}{sign_in_path}", f"signs in {owner}, once, within an hour"
    else:
        console, note = f"{url}/admin/", "sign in with your account"
    key = token or "$TOLLGATE_TOKEN"
    lines = [
        "",
        f"Tollgate is running ({seconds:.1f} s).",
        "",
        f"  Console   {console}",
        f"            {note}",
        f"  API       {url}/v1",
    ]
    if token:
        lines += [f"  Token     {token}", "            shown this once: keep it"]
    else:
        lines += [
            "  Token     shown once, at the first start; for another:",
            f"            export TOLLGATE_TOKEN=$({_ISSUE})",
        ]
    lines += [
        "",
        "From a shell:",
        "",
        *_curl(url, key),
        "",
        "With OpenAI's Python client (pip install openai):",
        "",
        *_python(url, token),
    ]
    return "\n".join([*lines, "", f"Logs are in {logs}. Ctrl-C stops everything.", ""])


def _curl(url: str, key: str) -> list[str]:
    body = '{"model": "sandbox-chat", "messages": [{"role": "user", "content": "Hello"}]}'
    return [
        f"curl {shlex.quote(f'{url}/v1/chat/completions')} \\",
        f'  -H "Authorization: Bearer {key}" \\',
        '  -H "Content-Type: application/json" \\',
        f"  -d '{body}'",
    ]


def _python(url: str, token: str | None) -> list[str]:
    key = f'"{token}"' if token else 'os.environ["TOLLGATE_TOKEN"]'
    return [
        *([] if token else ["import os"]),
        "from openai import OpenAI",
        f'client = OpenAI(base_url="{url}/v1", api_key={key})',
        'answer = client.chat.completions.create(model="sandbox-chat", messages=[{"role": "user", "content": "Hello"}])',
        "print(answer.choices[0].message.content)",
    ]
