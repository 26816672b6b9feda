"""Open a page in a browser and keep account of everything it does that a page must not do."""

from dataclasses import dataclass, field

from playwright.sync_api import Browser, Dialog, Page

ATTACK = "</script><img src=x onerror=alert(1)><b>bold</b>\u2028<a href='javascript:alert(2)'>a</a>"
"""Markup that HTML, plotly, a script element or a link could obey."""
MARKDOWN_ATTACK = "![i](http://192.0.2.1/i.png) [l](javascript:alert(3)) | <img src=//192.0.2.1/>"
"""Markup that Markdown could obey; the address is one of documentation (RFC 5737)."""
DESKTOP, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 800}


@dataclass
class Visit:
    """An open page, and what it did."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """Messages on the console, and errors nobody caught."""
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def unfold(self) -> None:
        """Open everything that is folded, and wait until every figure is drawn."""
        self.page.evaluate(
            "for (const one of document.querySelectorAll('details')) one.open = true"
        )
        for plot in self.page.locator(".plot").all():
            plot.locator(".main-svg").first.wait_for(state="attached")

    def plots(self) -> int:
        """How many figures of a report are drawn."""
        return self.page.locator(".plot .main-svg:first-child").count()


def open_page(
    browser: Browser, *, scheme: str = "light", viewport: dict[str, int] | None = None
) -> Visit:
    """An empty page whose messages, requests and dialogs are counted; dialogs are dismissed."""
    page = browser.new_page(color_scheme=scheme, viewport=viewport or DESKTOP)
    seen = Visit(page)

    def refuse(dialog: Dialog) -> None:
        seen.dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("console", lambda message: seen.complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("dialog", refuse)
    return seen
