"""A turn of the model, put together of the pieces in which Gemini tells it and in which clients give it back. Pure."""

from apps.providers.translation.form import Part, Text, Thinking


class Turn:
    """Its parts so far. Texts that follow one another become one, and so do thoughts, up to their signature.

    `whole()` before the parts are read.
    """

    __slots__ = ("_growing", "_pieces", "parts")

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._growing: Text | Thinking | None = None
        self._pieces: list[str] = []  # of its text: joined once, however many there are

    def text(self, text: str) -> Text | None:
        """A piece of text; returns what it has become a part of, and None if it is empty."""
        if not text:
            return None
        part = self._growing
        if not isinstance(part, Text):
            part = Text("")
            self._grow(part)
        self._pieces.append(text)
        return part

    def thought(self, text: str) -> None:
        """A piece of what the model thought."""
        if text:
            part = self._growing
            if not isinstance(part, Thinking):
                self._grow(Thinking())
            self._pieces.append(text)

    def sign(self, signature: str, origin: str, *, redacted: bool, alone: bool = False) -> None:
        """The signature of the thoughts just before it. Where there are none, or it stands `alone`, it is a part of its own."""
        part = self._growing
        if isinstance(part, Thinking) and not alone:
            part.signature, part.origin = signature, origin
            self._settle()
        else:
            self.add(Thinking(signature=signature, origin=origin, redacted=redacted))

    def add(self, part: Part) -> None:
        """Any other part."""
        self._settle()
        self.parts.append(part)

    def whole(self) -> list[Part]:
        """The parts, of which more may follow."""
        if self._growing is not None:
            self._growing.text = "".join(self._pieces)
            self._pieces = [self._growing.text]
        return self.parts

    def _grow(self, part: Text | Thinking) -> None:
        self.add(part)
        self._growing = part

    def _settle(self) -> None:
        self.whole()
        self._growing, self._pieces = None, []
