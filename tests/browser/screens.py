"""What a person sees: pictures of pages, and whether a page is fit to be seen."""

from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

WIDE = {"width": 1280, "height": 900}
HIGH = {"width": 1280, "height": 1300}
PHONE = {"width": 390, "height": 844}


@dataclass(frozen=True)
class Screens:
    """Takes pictures of a page into a folder."""

    page: Page
    folder: Path

    def take(self, name: str) -> None:
        """A picture of the page, in a window so high that it shows what matters of it."""
        self.page.set_viewport_size(HIGH)
        self.page.evaluate("document.fonts.ready")
        self.page.screenshot(path=self.folder / f"{name}.png", animations="disabled")
        self.page.set_viewport_size(WIDE)
