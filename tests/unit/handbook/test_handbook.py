"""The documentation as pages: all of it is there, every link leads somewhere, nothing is loaded."""

import json
import posixpath
import threading
from html.parser import HTMLParser
from http.client import HTTPConnection

import pytest
from typer.testing import CliRunner

from bakeoff.commands import cli
from bakeoff.errors import UsageError
from bakeoff.handbook import build_server, build_site, find_page, read_contents
from bakeoff.handbook.contents import FOLDER
from bakeoff.handbook.links import heading_slug, outside_links_as_urls
from bakeoff.version import REPOSITORY, __version__

SITE = build_site()
HTML = sorted(path for path in SITE if path.endswith(".html"))


class Elements(HTMLParser):
    """The elements of a page, each with its attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def attributes(self, name):
        return [one[name] for _, one in self.found if name in one]


ELEMENTS = {path: Elements(SITE[path]) for path in HTML}


def test_every_file_of_the_documentation_is_a_page_once():
    listed = [page.path for chapter in read_contents() for page in chapter.pages]
    assert sorted(listed) == sorted(str(one.relative_to(FOLDER)) for one in FOLDER.rglob("*.md"))


def test_the_name_of_a_page_is_its_own():
    names = [page.name for chapter in read_contents() for page in chapter.pages]
    assert len(set(names)) == len(names)
    assert {"start", "decisions", "commands", "study-file", "reading-a-report"} <= set(names)


@pytest.mark.parametrize("path", HTML)
def test_every_link_leads_to_a_page_and_a_heading(path):
    for link in ELEMENTS[path].attributes("href"):
        if link.startswith(f"{REPOSITORY}/") or link in {"data:,", "https://optuna.org"}:
            continue
        if link.startswith("https://"):
            assert 'href="' + link in SITE[path].split('<main id="content">')[1]  # of the text
            continue
        target, _, fragment = link.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        target = path if link.startswith("#") else target
        assert target in SITE, link
        if fragment and fragment != "content":
            assert fragment in ELEMENTS[target].attributes("id"), link


@pytest.mark.parametrize("path", HTML)
def test_a_page_loads_its_own_files_alone(path):
    loaded = [
        one.get("href") or one.get("src")
        for tag, one in ELEMENTS[path].found
        if tag in {"link", "script", "img", "iframe"} and one.get("href") != "data:,"
    ]
    inside = {posixpath.normpath(posixpath.join(posixpath.dirname(path), one)) for one in loaded}
    assert inside == {"handbook.css", "handbook.js", "search-index.js"}


def test_a_file_of_the_repository_is_linked_as_it_was_in_this_release():
    text = (
        "[a](../../README.md#the-files), [b](../../../../studies), [c](other.md), [d](https://x.y)"
    )
    assert outside_links_as_urls(text, "guides/page.md") == (
        f"[a]({REPOSITORY}/blob/v{__version__}/src/bakeoff/README.md#the-files),"
        f" [b]({REPOSITORY}/tree/v{__version__}/studies), [c](other.md), [d](https://x.y)"
    )


def test_code_keeps_what_looks_like_a_link():
    text = "```python\nx[0](../../../../a)\n```\n"
    assert outside_links_as_urls(text, "guides/page.md") == text


@pytest.mark.parametrize(
    ("heading", "slug"),
    [
        ("Studies of other programs", "studies-of-other-programs"),
        ("[space]", "space"),
        ("A gate, `study gate`", "a-gate-study-gate"),
        ("verify-resume", "verify-resume"),
    ],
)
def test_a_heading_has_the_fragment_that_github_gives_it(heading, slug):
    assert heading_slug(heading) == slug


def test_the_search_finds_a_part_of_a_page_by_its_heading():
    entries = json.loads(SITE["search-index.js"].removeprefix("const SEARCH_INDEX = ").strip(";\n"))
    (found,) = [one for one in entries if one["title"] == "Commands: study verify-resume"]
    assert found["url"] == "reference/commands.html#study-verify-resume"
    assert "--kills" in found["text"]


def test_a_cell_has_the_heading_of_its_column():
    cells = [one for tag, one in ELEMENTS["reference/study-file.html"].found if tag == "td"]
    assert [one["data-label"] for one in cells[:3]] == ["key", "may be", "meaning"]


def test_an_unknown_page_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'commands'"):
        find_page(read_contents(), "command")


@pytest.fixture
def port():
    with build_server(SITE, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def get(port, path):
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer, body


@pytest.mark.parametrize(
    ("path", "file", "kind"),
    [
        ("/", "index.html", "text/html"),
        ("/reference/commands.html?x=1", "reference/commands.html", "text/html"),
        ("/handbook.css", "handbook.css", "text/css"),
        ("/search-index.js", "search-index.js", "text/javascript"),
    ],
)
def test_the_server_gives_the_pages(port, path, file, kind):
    answer, body = get(port, path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert body == SITE[file]


@pytest.mark.parametrize("path", ["/../version.py", "/%2e%2e/version.py", "/nothing.html", "//x/"])
def test_the_server_gives_nothing_else(port, path):
    answer, body = get(port, path)
    assert (answer.status, body) == (404, "there is no such page\n")


def test_a_browser_that_leaves_early_prints_no_traceback(capfd):
    with build_server(SITE, 0) as server:
        for error in (BrokenPipeError(), ConnectionResetError()):
            try:
                raise error
            except OSError:
                server.handle_error(None, ("127.0.0.1", 1))
    assert capfd.readouterr().err == ""


def test_a_port_that_is_taken_is_refused_in_one_line(port):
    with pytest.raises(UsageError, match=f"--port {port}: "):
        build_server(SITE, port)


def test_the_verb_writes_the_pages_into_a_folder(tmp_path):
    folder = tmp_path / "handbook"
    done = CliRunner().invoke(cli.app, ["docs", "promises", "--output", str(folder)])
    assert done.stdout == f"documentation: {folder / 'reference/promises.html'}\n"
    written = {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()}
    assert written >= set(SITE)
