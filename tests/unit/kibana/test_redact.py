"""Our credentials in a peer's words: hidden however they are spelled."""

from __future__ import annotations

import base64
import json
import time
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from ruledeploy.kibana import Connection
from ruledeploy.kibana.redact import HIDDEN, redactor
from ruledeploy.model import Secret

secrets = st.text(st.characters(codec="utf-8"), min_size=6, max_size=40)
around = st.binary(max_size=7)
SPELLINGS = (
    str, repr, ascii, json.dumps, quote, quote_plus, str.upper,
    lambda text: quote(text, safe=""),
    lambda text: json.dumps(text, ensure_ascii=False),
    lambda text: text.encode().hex(),
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
)  # fmt: skip


@given(secrets, st.sampled_from(SPELLINGS))
def test_every_spelling_is_hidden(secret: str, spelling: object) -> None:
    """Raw, quoted by Python, JSON or URLs, in hexadecimal, in base64."""
    assert callable(spelling)
    spelled = spelling(secret)
    if spelling is str.upper and spelled.lower() != secret.lower():
        return  # letters without an inverse, such as ß
    assert HIDDEN in redactor(secret)(f"refused <{spelled}> at 12:00")


@given(secrets, around, around)
def test_base64_of_something_longer_is_hidden(secret: str, before: bytes, after: bytes) -> None:
    """As in the `Authorization` header of Basic, wherever the secret stands in it."""
    spelled = base64.b64encode(before + secret.encode() + after).decode()
    shown = redactor(secret)(spelled)
    assert HIDDEN in shown
    # What is left tells of neither side more than the letter at the seam.
    assert len(shown) - len(HIDDEN) <= len(base64.b64encode(before + after)) + 8


def test_an_api_key_is_hidden_by_its_parts() -> None:
    """The encoded form, the pair in it, and the secret of the pair; the id alone is none."""
    encoded = base64.b64encode(b"the-id:the-secret").decode()
    connection = Connection("http://k", api_key=Secret(f" {encoded}\n"))
    for text in (encoded, "the-id:the-secret", "the-secret"):
        assert connection.redact(f"bad {text}!") == f"bad {HIDDEN}!"
    assert connection.redact("key the-id has expired") == "key the-id has expired"


def test_what_is_no_secret_stays() -> None:
    """Without credentials, or with ones too short to tell from words."""
    assert Connection("http://k").redact("a message") == "a message"
    short = Connection("http://k", username="u", password=Secret("a"))
    assert short.redact("a banana") == "a banana"


def test_no_answer_makes_it_slow() -> None:
    """A hostile peer sends long runs of what could begin a secret."""
    hide = redactor("p\\\\a\\b%%&& x")
    for text in ("\\" * 20_000, "%25" * 10_000, "&amp;" * 5_000, "p" * 20_000):
        before = time.process_time()
        assert hide(text) == text
        assert time.process_time() - before < 1.0
