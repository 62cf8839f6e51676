"""The sandbox: a built-in provider that speaks OpenAI's API, answers from a can, and fails on request.

A real HTTP server in its own process; it needs no key and no Django. docs/sandbox.md tells how it answers.

    catalogue.py   which models there are, and how each misbehaves: a table
    fields.py, errors.py                   reading JSON, and refusing it, in OpenAI's words
    ask.py         what both chat surfaces ask, in one shape: Ask
    replies.py     what the sandbox says to that: answer(ask) -> Said; values.py invents JSON for a schema
    chat.py, responses.py, embeddings.py   each surface: a request's fields in, a Reply out
    faults.py      from a Reply to the bytes, pauses and cuts on the wire, spoilt as the model wants it
    service.py     which request is answered by what
    server.py      HTTP on a socket: reads requests, plays answers, notices who leaves
    command.py     the command line
"""
