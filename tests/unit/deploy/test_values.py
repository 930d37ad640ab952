"""The uploads of a value list."""

from __future__ import annotations

from ruledeploy.deploy.objects import Ref
from ruledeploy.deploy.values import creation

PROXY_LIMIT = 1_048_576  # nginx's client_max_body_size, unless set


def test_each_upload_passes_a_proxy_with_the_usual_limit() -> None:
    """Whatever the letters: four bytes each are the most that UTF-8 takes."""
    values = ["\N{GRINNING FACE}" * 90 + str(n) for n in range(10_000)]
    writes = creation(Ref("value_list", "v"), {"id": "v", "type": "keyword", "values": values})
    uploads = [write.request.upload for write in writes if write.request.upload]
    assert max(len(upload.encode()) for upload in uploads) < PROXY_LIMIT
    assert "".join(uploads).splitlines() == values
