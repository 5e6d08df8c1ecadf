"""The gallery in a real browser: no request leaves it, though an output asks for files, and every picture is seen."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import nbformat
import pytest

from helpers.made_book import book
from losa.reports.gallery import write_gallery


@pytest.fixture
def outside():
    """The address of a server, and the list of what it was asked for."""
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


def test_no_request_leaves_and_every_picture_is_seen(browser, outside, tmp_path):
    address, asked = outside
    nbformat.write(book(address), tmp_path / "05_title.ipynb")
    index = write_gallery(tmp_path, tmp_path, tmp_path / "out")
    page = browser.new_page()
    page.set_default_timeout(120_000)
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    for path, least in ((index, 1), (index.parent / "05_title.html", 2)):
        page.goto(path.as_uri())
        widths = page.evaluate("""async () => { const all = [...document.images].filter(i => i.src.startsWith("data:"));
            await Promise.all(all.map(i => i.decode()));
            return all.map(i => i.checkVisibility() && i.naturalWidth); }""")
        assert len(widths) == least and min(widths) > 0
    others = [url for url in requests if not url.startswith(("file:", "data:", "blob:"))]
    assert asked == [] and all(url.startswith(address) for url in others), "what an output asked for is blocked"
    page.goto(f"{address}/seen")
    assert "/seen" in asked, "the server does hear what is asked"
    page.close()
