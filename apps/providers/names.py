"""What a model may be called. Names reach URLs and headers, so they are plain: no spaces, controls, escapes or traversal."""

import re

MODEL_NAME_PATTERN = r"^(?!.*(?:^|/)\.{0,2}(?:/|$))[A-Za-z0-9@][A-Za-z0-9._:/@+-]{0,254}$"
_MODEL_NAME = re.compile(MODEL_NAME_PATTERN.replace("$", r"\Z"))


def model_name_is_valid(name: str) -> bool:
    """Whether `name` could be a model's: 1 to 255 letters, digits and . _ : / @ + - with no empty or dotted path segment."""
    return _MODEL_NAME.match(name) is not None
