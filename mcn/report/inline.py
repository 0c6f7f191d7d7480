"""Files inside a page: what a page needs stands in it, so that it can be sent on as one file."""

import base64


def data_uri(content: bytes, media_type: str) -> str:
    """An address that is the content itself."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
