"""Templates: fields are data, a template cannot reach into the process, and what is wrong is named."""

from pathlib import Path

import pytest

from email_service.templates import LARGEST, Templates, Unsendable

NOTICE = {"title": "Ready", "text": "It is."}


def test_the_templates_are_known_by_name(templates: Templates) -> None:
    assert templates.names == ("notice", "order_confirmation", "order_rejection", "welcome")


def test_a_welcome_greets_by_name_in_both_parts(templates: Templates) -> None:
    content = templates.render("welcome", {"name": "Ada"})

    assert content.subject == "Welcome, Ada"
    assert content.text.startswith("Hello Ada,\n")
    assert content.html is not None
    assert "<title>Welcome, Ada</title>" in content.html


def test_a_notice_may_lead_somewhere(templates: Templates) -> None:
    content = templates.render(
        "notice", {**NOTICE, "action_url": "https://example.com/?a=1&b=2", "action_label": "Fetch it"}
    )

    assert "Fetch it:\nhttps://example.com/?a=1&b=2" in content.text
    assert content.html is not None
    assert 'href="https://example.com/?a=1&amp;b=2"' in content.html


def test_a_notice_without_an_action_has_no_link(templates: Templates) -> None:
    content = templates.render("notice", {**NOTICE, "action_url": None})

    assert content.html is not None
    assert "<a " not in content.html


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "//example.com",
        "/reports",
        "https://",
        "https://exa mple.com",
        "https://example.com/\r\nx",
        "https:\\\\example.com",
        "https://[",
        "",
    ],
)
def test_a_link_that_is_no_web_address_is_refused(templates: Templates, url: str) -> None:
    with pytest.raises(Unsendable, match="http"):
        templates.render("notice", {**NOTICE, "action_url": url})


HOSTILE = [
    "{{ 7*7 }}",
    "{% for x in range(9) %}x{% endfor %}",
    "{# gone #}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{% include '/etc/passwd' %}",
    "{% set x = 1 %}",
    "{{ config }}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "%(name)s {0} {name.__class__}",
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "' style='x:expression(alert(1))",
    "<img src=x onerror=alert(1)>",
    "<!--[if mso]><script>",
    "&lt;script&gt;",
    "]]><svg/onload=alert(1)>",
    "\u202egnp.exe",
    "../../etc/passwd",
    "=?utf-8?q?x?=",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_field_is_words_and_nothing_else(templates: Templates, hostile: str) -> None:
    harmless = templates.render("notice", {"title": "harmless", "text": "harmless"})

    content = templates.render("notice", {"title": hostile, "text": hostile})

    assert content.subject == hostile
    assert hostile in content.text
    assert content.html is not None
    assert harmless.html is not None
    assert content.html.count("<") == harmless.html.count("<")
    assert content.html.count('"') == harmless.html.count('"')


@pytest.mark.parametrize(
    "name", ["", "invoice", "../welcome", "welcome.txt.j2", "_letter", "Welcome", "welcome\x00"]
)
def test_an_unknown_template_is_refused_and_the_known_are_named(templates: Templates, name: str) -> None:
    with pytest.raises(Unsendable, match=r"unknown template .* known are: notice, .*, welcome"):
        templates.render(name, {})


def test_a_missing_field_is_named(templates: Templates) -> None:
    with pytest.raises(Unsendable, match="template 'welcome': 'name' is undefined"):
        templates.render("welcome", {"nom": "Ada"})


def test_a_field_that_is_null_is_missing(templates: Templates) -> None:
    with pytest.raises(Unsendable, match="'name' is undefined"):
        templates.render("welcome", {"name": None})


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ name.__init__.__globals__ }}",
        "{{ name['__class__'] }}",
        "{{ name | attr('__class__') }}",
        "{{ range(10000000) | list }}",
        "{{ [].append(1) }}",
        "{% include '/etc/passwd' %}",
        "{{ unheard_of }}",
    ],
)
def test_a_template_that_reaches_too_far_is_stopped(tmp_path: Path, source: str) -> None:
    (tmp_path / "bad.txt.j2").write_text(source)
    (tmp_path / "bad.html.j2").write_text("x")

    with pytest.raises(Unsendable, match="template 'bad'"):
        Templates(tmp_path).render("bad", {"name": "Ada"})


def test_a_mail_that_grows_too_long_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "long.txt.j2").write_text("{% for n in range(1000) %}{{ name }}{% endfor %}")
    (tmp_path / "long.html.j2").write_text("x")

    with pytest.raises(Unsendable, match=str(LARGEST)):
        Templates(tmp_path).render("long", {"name": "x" * 10_000})
