"""All pages behind nginx under /names/, with the block of docs/deployment.md: with the prefix stripped and not."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.pages import shown_names
from tests.documented import bodies
from tests.harness.clock import until
from tests.harness.service import free_port, is_listening, served

pytestmark = pytest.mark.slow
CONFIGURATION = """
daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    upstream namewave {{ server 127.0.0.1:{service}; }}
    server {{
        listen 127.0.0.1:{port};
        {block}
    }}
}}
"""


@pytest.fixture(params=["stripped", "kept"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """The service's address behind nginx. With the prefix stripped it has no setting."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    stripped = request.param == "stripped"
    settings = {} if stripped else {"NAMEWAVE_ROOT_PATH": "/names"}
    with tempfile.TemporaryDirectory() as folder, served(**settings) as service:
        port, [block] = free_port(), bodies("nginx")
        assert "http://namewave/;" in block
        if not stripped:
            block = block.replace("http://namewave/;", "http://namewave;")
        file = Path(folder) / "nginx.conf"
        file.write_text(CONFIGURATION.format(folder=folder, port=port, service=service.port, block=block))
        command = [program, "-p", folder, "-c", str(file), "-e", f"{folder}/error.log"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as nginx:
            try:
                until(lambda: is_listening(port))
                yield f"http://127.0.0.1:{port}/names"
            finally:
                nginx.terminate()


def test_pages_work_behind_a_prefix(browser: Browser, address: str) -> None:
    page = browser.new_context().new_page()
    failed: list[str] = []
    page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
    page.goto(f"{address}/")
    assert len(shown_names(page)) == 12
    page.goto(f"{address}/#/models/human/lstm/4")
    expect(page.get_by_role("img").first).to_be_visible()
    page.get_by_role("link", name="Lab", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.goto(f"{address}/lab#/graph")
    expect(page.get_by_role("region", name="The graph")).to_be_visible()
    page.get_by_role("link", name="Playground", exact=True).click()
    assert len(shown_names(page)) == 12
    page.goto(f"{address}/docs")
    page.get_by_text("/generate", exact=True).first.click()
    page.get_by_role("button", name="Try it out").first.click()
    page.get_by_role("button", name="Execute").first.click()
    expect(page.get_by_text("next_offset").first).to_be_visible()
    page.goto(f"{address}/redoc")
    expect(page.get_by_role("heading", name="Invent names").first).to_be_visible()
    assert failed == []
    page.context.close()
