"""The sandbox: a built-in provider that speaks OpenAI's API, answers from a can, and fails on request.

A real HTTP server in its own process; it needs no key and no Django. How it answers is told in docs/sandbox.md.

    catalogue.py   which models there are, and how each misbehaves        (a table)
    requests.py    what both chat surfaces ask, in one shape              Ask
    replies.py     what the sandbox says to that                          answer(ask) -> Said
    chat.py, responses.py, embeddings.py   each surface: body in, Reply out
    faults.py      a Reply, spoilt the way a model or the command line wants it
    service.py     which path is served by whom
    server.py      HTTP on a socket: reads requests, plays replies, notices who leaves
    command.py     the command line
"""
