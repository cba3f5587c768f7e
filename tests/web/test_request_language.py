"""The language of a request: of its address, a cookie, or what the browser lists."""

import pytest
from starlette.types import Scope

from core.web import request_language


def scope(query: str = "", **headers: str) -> Scope:
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "query_string": query.encode(), "headers": given}


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        (scope(), ""),
        (scope(accept_language="fr-FR,pt-BR;q=0.8,en;q=0.9"), "en"),
        (scope(accept_language="fr-FR, pt;q=0.8"), "pt_BR"),
        (scope(accept_language=";;q=x,,"), ""),
        (scope(cookie="headstart-language=pt_BR", accept_language="en"), "pt_BR"),
        (scope(cookie='x={"a":1}; a[b]=1; headstart-language=pt_BR'), "pt_BR"),
        (scope(cookie="headstart-language=../../etc"), ""),
        (scope("lang=en&project=1", cookie="headstart-language=pt_BR"), "en"),
        (scope("lang=xx", cookie="headstart-language=pt_BR"), "pt_BR"),
    ],
)
def test_the_address_comes_before_the_cookie_before_the_browser(asked: Scope, language: str) -> None:
    assert request_language.of(asked) == language
