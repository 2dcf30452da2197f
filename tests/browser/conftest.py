"""The browser of the browser tests."""

import os

import pytest
from playwright.sync_api import Error, sync_playwright

from tests import chromium
from tests.browser.lab import jupyter_lab


@pytest.fixture(scope="package")
def browser():
    """A headless browser, closed with the package: notebooks run their own event loop after it."""
    with sync_playwright() as playwright:
        try:
            running = chromium.launch(playwright)
        except Error as error:
            reason = (
                "no browser: neither Chrome or Chromium nor Playwright's own starts "
                f"({str(error).strip().splitlines()[0]}); install one or run playwright install chromium"
            )
            if os.environ.get("KIT_REQUIRE_BROWSER") == "1":
                pytest.fail(reason)
            pytest.skip(reason)
        yield running
        running.close()


@pytest.fixture(scope="package")
def lab(browser):
    """One JupyterLab for all tests of a worker."""
    with jupyter_lab(browser) as running:
        yield running
