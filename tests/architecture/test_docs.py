"""What the documents name is there, and what they are made from is what they say."""

import re
from pathlib import Path

import pytest

from tests.architecture import documents

ROOT = documents.ROOT
PAGES = {
    str(file.relative_to(ROOT)): file.read_text()
    for file in (ROOT / "README.md", *sorted(documents.DOCS.rglob("*.md")))
}
ANEW = "run `make api`"
FILES = [
    f"/{file.relative_to(ROOT)}"
    for folder in ("shared", "services", "infra", "tests", "docs")
    for file in (ROOT / folder).rglob("*")
    if file.suffix in {".py", ".sh", ".yml", ".md", ".json"}
]
_METHODS = "GET|POST|PUT|PATCH|DELETE"
_UNDESCRIBED = {("GET", "/openapi.json"), ("GET", "/docs")}
_VARIABLE = re.compile(r"\b(?:SLIPWAY_[A-Z][A-Z_]*[A-Z]|(?:HTTP|HTTPS|API)_PORT|PUBLIC_URL)\b")
_WRITTEN = {"SLIPWAY_URL", "SLIPWAY_TOKEN", "SLIPWAY_EMAIL", "SLIPWAY_PASSWORD"}
"""What `make up` writes to `.slipway/env`."""


def named_operations(text: str) -> set[tuple[str, str]]:
    """(METHOD, path) of every `GET /v1/…` in the text, without the query."""
    found = re.findall(rf"\b({_METHODS}) (/[A-Za-z0-9_./{{}}-]+)", text)
    return {(method, path.rstrip(".")) for method, path in found}


def called_paths(text: str) -> set[str]:
    """Paths of the walk's addresses, with `{id}` for a variable of the shell."""
    found = re.findall(r"\$SLIPWAY_URL(/[A-Za-z0-9_$/.-]*)", text)
    return {re.sub(r"\$[A-Z]+", "{id}", path) for path in found}


def targets(makefile: str) -> set[str]:
    return set(re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.MULTILINE))


def named_targets(text: str) -> set[str]:
    """What is made in code: `make up`, or a line of a block that begins so."""
    inside = re.findall(r"`(?:[A-Z_]+=\S+ )*make ([a-z0-9-]+)", text)
    return set(inside) | set(re.findall(r"^    make ([a-z0-9-]+)", text, re.MULTILINE))


def known_variables() -> set[str]:
    found = set(_WRITTEN)
    for model in documents.MODELS.values():
        found |= {f"SLIPWAY_{name.upper()}" for name in model.model_fields}
    for file in (ROOT / "infra").glob("*.*"):
        text = file.read_text()
        found |= {*re.findall(r"\$\{?([A-Z][A-Z_]+)", text), *_VARIABLE.findall(text)}
    for given in ("deployer/deployer/rollout/render.py", "builder/builder/build/variables.py"):
        found |= set(_VARIABLE.findall((ROOT / "services" / given).read_text()))
    return found


def links(text: str) -> set[str]:
    """Where relative links lead, without the place inside."""
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", outside)
    return {link.partition("#")[0] for link in found if "://" not in link} - {""}


def named_files(text: str) -> set[str]:
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    found = re.findall(r"`([\w.-]+(?:/[\w.-]+)+/?|[\w-]+\.(?:py|sh|yml))`", outside)
    return {name for name in found if re.search(r"\.(py|sh|yml)$|^(shared|services|tests)/", name)}


def is_there(name: str) -> bool:
    return any(f"/{name.rstrip('/')}" in file for file in FILES)


@pytest.mark.parametrize("page", PAGES)
def test_every_operation_that_is_named_is_in_the_api(page: str):
    there = {(method, path) for method, path, _ in documents.operations()} | _UNDESCRIBED
    assert named_operations(PAGES[page]) - there == set()
    paths = {re.sub(r"\{\w+\}", "{id}", path) for _, path in there}
    assert called_paths(PAGES[page]) - paths == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_target_that_is_named_is_in_the_makefile(page: str):
    assert named_targets(PAGES[page]) - targets((ROOT / "Makefile").read_text()) == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_that_is_named_is_read_somewhere(page: str):
    assert set(_VARIABLE.findall(PAGES[page])) - known_variables() == set()


def test_what_make_up_is_told_reaches_the_services():
    """And what operators are told of is told to it."""
    settings, up, stack = (
        (ROOT / name).read_text() for name in ("docs/settings.md", "infra/up.sh", "infra/stack.yml")
    )
    installation = settings.partition("<!-- generated: ")[0]
    given = set(re.findall(r"^\| `(SLIPWAY_\w+)`", installation, re.MULTILINE))
    fields = (model.model_fields for model in documents.MODELS.values())
    read = {f"SLIPWAY_{name.upper()}" for each in fields for name in each}
    told = set(_VARIABLE.findall((ROOT / "docs/operations.md").read_text()))
    assert told & read <= given
    assert {name for name in given & read if not re.search(rf"--env \W?{name}\b", up)} == set()
    assert {name for name in given & read if f"${{{name}" not in stack} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_is_there(page: str):
    """`deployments/open.py` is one that ends so; what stands in blocks may be yet to be made."""
    assert {name for name in named_files(PAGES[page]) if not is_there(name)} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_somewhere(page: str):
    folder = (ROOT / page).parent
    assert {link for link in links(PAGES[page]) if not (folder / link).exists()} == set()


def test_the_generated_documents_are_what_the_code_says():
    for page in documents.PAGES:
        text = page.read_text()
        assert text.count("<!-- generated: ") == text.count("<!-- end -->") > 0
        assert text == documents.written(page), ANEW


def test_every_setting_says_what_it_is():
    silent = [
        f"{service}: {name}"
        for service, model in documents.MODELS.items()
        for name, field in model.model_fields.items()
        if not field.description and name != "nats_user"
    ]
    assert silent == []


def test_a_secret_is_named_and_never_shown():
    rows = [row for row in PAGES["docs/settings.md"].splitlines() if "| secret " in row]
    assert len(rows) >= 8
    assert all(re.match(r"\| `SLIPWAY_\w+` \| secret `\w+` \| \| \w", row) for row in rows)


def test_every_problem_is_in_the_table_of_errors_and_no_other():
    table = PAGES["docs/api.md"].partition("## Errors")[2].partition("A deployment that failed")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("|")][2:]
    assert {slug for row in rows for slug in re.findall(r"`([a-z-]+)`", row)} == documents.slugs()


def test_decisions_are_numbered_without_a_gap():
    files = sorted((documents.DOCS / "decisions").glob("*.md"))
    assert [file.name[:5] for file in files] == [f"{n:04}-" for n in range(1, len(files) + 1)]
    for file in files:
        text = file.read_text()
        assert text.startswith(f"# {int(file.name[:4])}. "), file.name
        parts = ("**Context.**", "**Decision.**", "**Alternatives.**", "**Consequences.**")
        assert [part for part in parts if part not in text] == [], file.name


def test_what_is_wrong_is_found():
    text = "`GET /v1/application` and\n    make upp\n`make tests` `SLIPWAY_LEVEL` [x](no/where.md)"
    assert named_operations(text) == {("GET", "/v1/application")}
    assert named_targets(text) == {"upp", "tests"}
    assert set(_VARIABLE.findall(text)) == {"SLIPWAY_LEVEL"}
    assert links(text) == {"no/where.md"}
    assert named_files("`x/there.py`, `shared/y`, `z.yml`, `a/b`") == {
        "x/there.py", "shared/y", "z.yml",
    }  # fmt: skip
    assert is_there("architecture/test_docs.py")
    assert not is_there("architecture/test_doc.py")
    assert called_paths('"$SLIPWAY_URL/v1/services/$SERVICE/x"') == {"/v1/services/{id}/x"}
    assert targets(".PHONY: up\nup: ## x\n\t@sh x\nrelease-schema: ## y") == {
        "up",
        "release-schema",
    }


def test_the_scan_of_the_sources_finds_what_it_looks_for():
    assert {"invalid", "name-taken", "not-ready", "too-large"} <= documents.slugs()
    said = PAGES["docs/api.md"]
    assert "`git-branch-not-found`" in said
    assert "`no-answer`" in said


def test_every_page_is_reached_from_the_readme():
    """Every page is linked from the README, or from a page that is."""
    reached, left = set(), [Path("README.md")]
    while left:
        page = left.pop()
        if page in reached or str(page) not in PAGES:
            continue
        reached.add(page)
        for link in links(PAGES[str(page)]):
            target = (ROOT / page.parent / link).resolve().relative_to(ROOT)
            left += [target] if target.suffix == ".md" else target_pages(target)
    assert {str(page) for page in reached} == set(PAGES)


def target_pages(folder: Path) -> list[Path]:
    return [Path(page) for page in PAGES if Path(page).parent == folder]
