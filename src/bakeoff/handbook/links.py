"""Links of the documentation: to its own pages, and to files of the repository."""

import posixpath
import re
import unicodedata

from bakeoff.version import REPOSITORY, __version__

DOCS_IN_REPOSITORY = "src/bakeoff/docs"
LINK = re.compile(r"(?P<before>\]\()(?P<target>[^)\s]+)(?=\))")
FENCED = re.compile(r"^(```.*?^```)", re.MULTILINE | re.DOTALL)


def heading_slug(text: str) -> str:
    """The fragment by which GitHub and this handbook link to a heading."""
    kept = (one for one in text.lower() if one in " -_" or unicodedata.category(one)[0] in "LNM")
    return "".join(kept).replace(" ", "-")


def is_url(target: str) -> bool:
    """Tell whether a link leads to the web."""
    return re.match(r"[a-z][a-z0-9+.-]*:", target) is not None


def resolve(target: str, page: str) -> tuple[str, str, bool]:
    """Where a relative link of a page leads.

    Args:
        target: The link, with or without a fragment.
        page: The page's file, relative to the folder of the documentation.

    Returns:
        The path relative to that folder, or to the repository if it is outside; the fragment with
        its `#`, or nothing; and whether it is outside.
    """
    path, mark, fragment = target.partition("#")
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
    is_outside = joined == ".." or joined.startswith("../")
    if is_outside:
        joined = posixpath.normpath(posixpath.join(DOCS_IN_REPOSITORY, joined))
    return joined, mark + fragment, is_outside


def repository_url(path: str) -> str:
    """The address of a file or folder of the repository, as it was in this release."""
    kind = "blob" if posixpath.splitext(path)[1] or path == "LICENSE" else "tree"
    return f"{REPOSITORY}/{kind}/v{__version__}/{path}"


def outside_links_as_urls(markdown: str, page: str) -> str:
    """A page whose links to files outside the documentation are addresses; code stays as it is."""

    def replace(found: re.Match[str]) -> str:
        target = found["target"]
        if is_url(target):
            return found[0]
        path, fragment, is_outside = resolve(target, page)
        return f"{found['before']}{repository_url(path)}{fragment}" if is_outside else found[0]

    parts = FENCED.split(markdown)
    parts[::2] = [LINK.sub(replace, part) for part in parts[::2]]
    return "".join(parts)
