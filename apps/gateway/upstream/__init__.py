"""Calling providers over HTTP/1.1: connections, where they may lead, and the pool that keeps them.

Ours rather than a library's because it is the request path: against aiohttp, with the same guarantees (timeouts, cancellation that
closes the socket at once, backpressure, a check of every address dialled), it halves the CPU of a call. Parsing is httptools',
racing IPv6 and IPv4 is aiohappyeyeballs', TLS is Python's.
"""
