"""What a notebook keeps of a widget is small, and the browser's code gets back what was packed."""

import base64
import json
import os
import random
import shutil
import subprocess
import zlib

import pytest
from traitlets import List

from helpers.paths import ROOT
from widgets.base import View
from widgets.compare import Compare
from widgets.diagnosis import Diagnosis
from widgets.features import Features
from widgets.gates import Gates
from widgets.packed import LEAST, MOST, code_of, pack
from widgets.timeline import Timeline

NODE = shutil.which("node")
NOISE = random.Random(0).randbytes(70_000)
VALUES = {"noise": NOISE, "zeros": bytes(100_000), "few": bytes(x % 5 for x in NOISE), "text": "déjà vu\n" * 900,
          "records": [{"segment": [i / 7, i / 3], "label": "wave", "score": None} for i in range(900)]}
READ = """import { readFileSync } from "fs";
const { unpacked } = await import(process.argv[2]);
for (const [name, text] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  const bytes = Buffer.from(text.data, "base64"), view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const packed = { deflated: view, size: text.size, json: text.json }, value = unpacked(packed);
  if (unpacked(packed) !== value) throw new Error("read twice");
  console.log(JSON.stringify([name, text.json ? value : Buffer.from(value.buffer).toString("hex")]));
}"""


class Drawn(View):
    """A widget with code of its own."""

    _esm, _css = "export default { render() {} };", ".drawn { color: red; }"


class Other(View):
    """A widget with other code."""

    _esm = "export default { render() { return 1; } };"


@pytest.mark.skipif(NODE is None, reason="needs node, which runs the browser's code")
@pytest.mark.parametrize("level", [0, 1, 9], ids=["stored", "quick", "small"])
def test_the_browser_reads_what_python_packed(tmp_path, level):
    """Blocks of all three kinds: stored (level 0, noise), with fixed codes (short ones) and with codes of their own."""
    code = (ROOT / "widgets" / "packed.js").read_text() + "\nexport { unpacked };"
    (tmp_path / "packed.mjs").write_text(code)
    (tmp_path / "read.mjs").write_text(READ)
    raw = {name: value if isinstance(value, bytes) else json.dumps(value).encode() for name, value in VALUES.items()}
    raw |= {"empty": b"", "short": b"abc"}
    given = {name: {"data": base64.b64encode(zlib.compress(data, level)).decode(), "size": len(data),
                    "json": name in ("text", "records")} for name, data in raw.items()}
    done = subprocess.run([NODE, "read.mjs", "./packed.mjs"], cwd=tmp_path, input=json.dumps(given), text=True,
                          capture_output=True, env=os.environ | {"NODE_NO_WARNINGS": "1"})
    assert done.returncode == 0, done.stderr
    read = dict(map(json.loads, done.stdout.splitlines()))
    assert read == {name: VALUES[name] if name in ("text", "records") else data.hex() for name, data in raw.items()}


@pytest.mark.skipif(NODE is None, reason="needs node, which runs the browser's code")
@pytest.mark.parametrize("kind", [Compare, Diagnosis, Features, Gates, Timeline])
def test_the_code_of_every_widget_can_be_loaded(tmp_path, kind):
    """No name of the reader's or the loader's is taken twice, and the style sheet comes along."""
    (tmp_path / "code.mjs").write_bytes(zlib.decompress(code_of(kind.script, kind.style).deflated))
    (tmp_path / "load.mjs").write_text("""const sheets = [];
globalThis.document = { createElement: () => ({}), head: { append: (sheet) => sheets.push(sheet.textContent) } };
const { losaWidget, losaUnpacked } = await import("./code.mjs");
console.log(JSON.stringify([typeof losaWidget.render, losaUnpacked(7), sheets]));""")
    done = subprocess.run([NODE, "load.mjs"], cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["function", 7, [kind.style]]


def test_large_values_are_packed_and_others_left():
    packed = pack(VALUES["records"])
    assert json.loads(zlib.decompress(packed["deflated"])) == VALUES["records"] and packed["json"]
    assert len(packed["deflated"]) < len(json.dumps(VALUES["records"])) / 4
    assert zlib.decompress(pack(bytes(9000))["deflated"]) == bytes(9000) and not pack(bytes(9000))["json"]
    for value in (1, "text" * LEAST, [1, 2], bytes(MOST), {"time": 1, "jpeg": NOISE}, [float("nan")] * LEAST):
        assert pack(value) is value


def test_widgets_of_one_class_share_their_code_and_keep_no_copy():
    first, second, other = Drawn(), Drawn(), Other()
    assert first._code is second._code is not other._code
    text = zlib.decompress(first._code.deflated).decode()
    assert Drawn.script in text.replace("const losaWidget =", "export default") and ".drawn" in text
    assert Drawn.script not in first._esm == other._esm and not first._css
    assert first.get_state()["_code"] == f"IPY_MODEL_{first._code.model_id}"


def test_code_that_somebody_closed_is_made_again():
    first = Drawn()._code
    first.close()
    again = code_of(Drawn.script, Drawn.style)
    assert again is not first and again.comm is not None and again is Drawn()._code


class Typed(View):
    """A widget in which the browser writes."""

    _esm, rows = Drawn.script, List().tag(sync=True)


def test_what_the_browser_sent_is_not_sent_back_though_it_would_be_packed():
    view, sent = Typed(), []
    view._send = lambda message, buffers=None: sent.append(message)
    rows = [[i, "x"] for i in range(LEAST)]
    view.set_state({"rows": rows})
    assert view.rows == rows and not [m for m in sent if m["method"] == "update"]
