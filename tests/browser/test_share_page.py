"""Offline pages of widgets in a real browser: self-contained, strict, linked, with a video or a strip of frames."""

import nbconvert
import nbformat
import traitlets

from helpers.browser import HOSTILE, exchange, frame_number, jpeg, opened, shown, trait
from widgets import share
from widgets.base import View, link, parts

ESM = """
function render({ model, el }) {
  const bus = shared(model), out = element("output"), root = element("div", { class: "losa", tabindex: "0" }, out);
  const bytes = model.get("video_bytes");
  if (bytes?.byteLength) root.append(element("video", { src: URL.createObjectURL(new Blob([bytes])), muted: true }));
  for (const { jpeg } of model.get("poster") ?? []) {
    root.append(element("img", { src: URL.createObjectURL(new Blob([jpeg], { type: "image/jpeg" })) }));
  }
  const video = root.querySelector("video");
  const draw = () => {
    out.textContent = `${model.get("name")} at ${bus.time.toFixed(2)} ${model.get("source").message}`;
  };
  bus.on((what) => { if (what === "seek" && video) video.currentTime = bus.time; draw(); });
  keys(root, { x: () => model.send({ kind: "ask", what: "x" }) });
  model.on("msg:custom", (content, buffers) => { out.textContent = `${content.told} ${buffers[0].getUint8(0)}`; });
  el.append(root);
  draw();
  return () => bus.close();
}
export default { render };
"""


class Small(View):
    """A widget with all that a page has to carry."""

    _esm = parts("", "js") + ESM
    name = traitlets.Unicode().tag(sync=True)
    source = traitlets.Dict({"kind": "none", "path": "", "message": ""}).tag(sync=True)
    video_bytes = traitlets.Bytes(b"").tag(sync=True)
    poster = traitlets.List().tag(sync=True)
    duration = 8.0
    video = frames = None


def test_a_page_carries_the_video_and_links_its_widgets(browser, tmp_path, video):
    first, second = Small(name=HOSTILE), Small(name="second")
    first.video = video
    link(first, second)
    file = first.to_html(tmp_path / "page.html", second, title=HOSTILE)
    with opened(browser, file) as page:
        assert page.locator("h1").inner_text() == HOSTILE == page.title()
        assert page.locator("output").first.inner_text().startswith(HOSTILE + " at 0.00")
        page.evaluate("() => { losaModels[1].set('current_time', 5.02); }")
        assert "at 5.02" in page.locator("output").first.inner_text()
        assert frame_number(page) == 125
        page.wait_for_function("() => losaModels[0].saved.has('current_time')")
        assert trait(page, "current_time") == 5.02 and trait(page, "live") is False
        assert page.locator("img").count() == 0


def test_a_large_video_becomes_a_strip_of_frames(browser, tmp_path, video):
    view = Small(name="strip")
    view.video, view.frames = video, lambda times: [jpeg(i) for i in range(len(times))]
    with opened(browser, view.to_html(tmp_path / "page.html", max_video_mb=0.001)) as page:
        assert "not part of this page" in page.locator("output").inner_text()
        page.wait_for_function("() => [...document.images].length === 12 && [...document.images].every(i => i.width)")
    assert [round(p["time"], 2) for p in share.offline_state(view, 0.001)["poster"]][:2] == [0.33, 1.0]


def test_python_answers_a_page_that_is_live(browser, tmp_path):
    view = Small(name="live")
    view.on_msg(lambda _, content, buffers: view.send({"told": content["what"]}, [b"\x07"]))
    with shown(browser, tmp_path, view) as page:
        page.locator(".losa").focus()
        page.keyboard.press("x")
        assert exchange(page, view) == [[{"kind": "ask", "what": "x"}]]
        assert page.locator("output").inner_text() == "x 7"


def test_static_lives_in_a_converted_notebook(browser, tmp_path, video):
    view = Small(name=HOSTILE)
    view.video = video
    output = nbformat.v4.new_output("display_data", {"text/html": view.static().data})
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("view.static()", outputs=[output])])
    text, _ = nbconvert.HTMLExporter(template_name="basic").from_notebook_node(book)
    (tmp_path / "book.html").write_text(f"<!DOCTYPE html><meta charset=utf-8>{text}", encoding="utf8")
    with opened(browser, tmp_path / "book.html") as page:
        inside = page.frame_locator("iframe")
        assert inside.locator("output").inner_text().startswith(HOSTILE)
        page.wait_for_function("() => parseInt(document.querySelector('iframe').style.height) < 300")
        frame = page.frames[1]
        frame.evaluate("() => losaModels[0].set('current_time', 2.02)")
        assert frame_number(frame) == 50
