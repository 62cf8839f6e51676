"""Signatures of thoughts and tool calls, carried through a client that speaks another dialect than their origin. Pure.

A provider proves its own thoughts to itself, and wants them back unchanged with the results of tools. A client of another dialect
keeps what it does not understand where its own signatures are; so they travel there, marked with where they belong.
"""

MARK = "tollgate."


def carried(signature: str, origin: str, dialect: str) -> str:
    """What a client of `dialect` is given to keep; its own dialect's signatures as they are. Empty if there is none."""
    return signature if not signature or origin == dialect else f"{MARK}{origin}.{signature}"


def opened(kept: str, dialect: str) -> tuple[str, str]:
    """Signature and origin of what a client of `dialect` has given back."""
    if not kept.startswith(MARK):
        return kept, dialect if kept else ""
    origin, _, signature = kept.removeprefix(MARK).partition(".")
    return signature, origin
