"""Commands in the sentences of a report are set as code, and nothing else is."""

import pytest

from bakeoff.report.glossary import explained
from bakeoff.report.markdown import escape

SENTENCE = "Holm: continue with `study run FILE --extend` (9 *more*), not with `rm`."


def test_a_command_is_code_in_markdown():
    shown = r"Holm: continue with `study run FILE --extend` (9 \*more\*), not with \`rm\`."
    assert escape(SENTENCE) == shown


def test_a_command_is_code_in_html():
    shown = str(explained(SENTENCE))
    assert "<code>study run FILE --extend</code>" in shown
    assert "<abbr" in shown
    assert "`rm`" in shown


@pytest.mark.parametrize("name", ["`study <script>`", "`study a|b`", "`study\n# x`"])
def test_a_name_that_looks_like_a_command_stays_text(name):
    assert "<script>" not in str(explained(name))
    assert "\n" not in escape(name)
    assert "|" not in escape(name).replace(r"\|", "")
