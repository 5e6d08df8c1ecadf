"""A real JupyterLab for tests: its server, a page of it, a finished demo whose videos carry their frame numbers."""

import ast
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import warnings

import nbformat

from helpers.browser import clip, slowed
from helpers.paths import ROOT
from losa.annotations.dataset import load_annotations
from losa.evaluation.average_precision import evaluate
from losa.evaluation.ground_truth import make_truth
from losa.presets import PRESETS
from losa.workflows.run import run

FPS, SECONDS = 12, 20.0
READY = """() => { const s = window.jupyterapp?.shell.currentWidget?.context?.sessionContext;
  return s?.isReady && s.session?.kernel?.connectionStatus === 'connected' && s.session.kernel.status === 'idle'; }"""


@contextlib.contextmanager
def jupyter(root, home, app="lab"):
    """The address of a JupyterLab whose files begin at `root`; its settings and traces lie in `home`.

    app: "lab", or "notebook" for Notebook 7.
    """
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(home / "config"), "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_DATA_DIR": str(home / "data"), "IPYTHONDIR": str(home / "ipython"), "PYTHONPATH": str(ROOT)}
    environment.pop("MPLBACKEND", None)
    module, shown = {"lab": ("jupyterlab", "LabApp"), "notebook": ("notebook", "JupyterNotebookApp")}[app]
    command = [sys.executable, "-m", module, "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root",
               "--ServerApp.port_retries=0", "--IdentityProvider.token=", "--ServerApp.password=",
               f"--ServerApp.root_dir={root}", "--ServerApp.disable_check_xsrf=True", "--ServerApp.base_url=/u/x/",
               f"--{shown}.expose_app_in_browser=True"]
    url = f"http://127.0.0.1:{port}/u/x"
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, cwd=root, stdout=log, stderr=log)
    try:
        for _ in range(240):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/api", timeout=5).close()
                break
            assert server.poll() is None, (home / "server.log").read_text()
            time.sleep(0.25)
        yield url
    finally:
        end(server)


def write_notebook(path, *sources):
    """Writes a notebook of code cells."""
    cells, kernel = map(nbformat.v4.new_code_cell, sources), {"name": "python3", "display_name": "Python 3"}
    nbformat.write(nbformat.v4.new_notebook(cells=[*cells], metadata={"kernelspec": kernel}), path)


def end(process):
    """Ends a process of ours, by force if it does not go."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Notebook:
    """An open notebook: its page, what went wrong in the browser, and what its kernel says."""

    def __init__(self, browser, url, name, view="doc/tree"):
        self.context = browser.new_context(viewport={"width": 1280, "height": 1000})
        self.page, self.problems = self.context.new_page(), []
        self.page.set_default_timeout(30_000)
        # A list of all kernels fails while one of them is ending: JupyterLab's matter, not the notebook's.
        self.page.on("console", lambda m: m.type == "error" and "/api/kernels?" not in m.location["url"]
                     and self.problems.append(f"{m.text} {m.location['url']}"))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda r: r.url.startswith((url, url.replace("http", "ws", 1), "data:", "blob:"))
                     or self.problems.append(r.url))
        slowed(self.page)
        self.page.goto(f"{url}/{view}/{name}?reset", timeout=180_000)  # JupyterLab is large, and machines are busy
        self.page.wait_for_function(READY, timeout=180_000)

    def run_all(self, timeout_s=120):
        """Runs every cell and waits for the end; fails with the first error of a cell."""
        self.page.evaluate("() => { window.losaRan = null; window.jupyterapp.commands.execute('notebook:run-all-cells')"
                           ".then(() => { window.losaRan = true; }, (e) => { window.losaRan = String(e); }); }")
        self.page.wait_for_function("() => window.losaRan", timeout=1000 * timeout_s)
        self.page.wait_for_function(READY, timeout=1000 * timeout_s)
        errors = [o for cell in self.cells() for o in cell.get("outputs", ()) if o["output_type"] == "error"]
        assert not errors, "\n".join(errors[0]["traceback"])

    def cells(self):
        """The notebook's cells, as they would be saved."""
        return self.page.evaluate("() => jupyterapp.shell.currentWidget.model.sharedModel.toJSON().cells")

    def state(self):
        """What a stray key would change: the cells in order with kind and text, the mode, whether a dialog is open."""
        return self.page.evaluate("""() => { const { content, model } = jupyterapp.shell.currentWidget; return [
            content.mode, content.widgets.length, document.querySelectorAll('.jp-Dialog').length,
            ...model.sharedModel.cells.map((cell) => [cell.cell_type, cell.getSource(), cell.outputs?.length])]; }""")

    def value(self, expression):
        """What this expression gives in the kernel, by way of JSON."""
        told = self.page.evaluate("""async (code) => {
            const kernel = jupyterapp.shell.currentWidget.context.sessionContext.session.kernel;
            const reply = await kernel.requestExecute({ code: "", silent: true, store_history: false,
              user_expressions: { x: code } }).done;
            return reply.content.user_expressions.x; }""", f"__import__('json').dumps({expression})")
        assert told["status"] == "ok", told
        return json.loads(ast.literal_eval(told["data"]["text/plain"]))

    def comes(self, expression, expected, timeout_s=20):
        """Waits until this expression gives that in the kernel, which hears of the browser a little later; or fails."""
        for _ in range(10 * timeout_s):
            if self.value(expression) == expected:
                return
            self.page.wait_for_timeout(100)
        assert self.value(expression) == expected

    def close(self):
        self.page.evaluate("() => jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")
        self.page.close(run_before_unload=False)
        self.context.close()


def barcoded_demo(out):
    """The folder of a finished demo, runs `losa` and `head_only`, of barcoded videos of 20 s at 12 frames a second.

    Predictions are the truth moved a little, so that there is something to see; the networks learnt nothing.
    """
    videos, labels = out / "world" / "videos", ("jump", "wave")
    videos.mkdir(parents=True)
    first, database = clip(videos / "train_0000.mp4", SECONDS, FPS), {}
    for i, name in enumerate(("train_0000", "train_0001", "val_0000", "test_0000", "test_0001")):
        if i:
            shutil.copy(first, videos / f"{name}.mp4")
        rows = [{"label": labels[k % 2], "segment": [2.0 + 5 * k, 4.0 + 5 * k + i % 2]} for k in range(3)]
        database[name] = {"subset": name.split("_")[0], "duration": SECONDS, "fps": FPS, "annotations": rows,
                          "path": f"videos/{name}.mp4"}
    annotations = out / "world" / "annotations.json"
    annotations.write_text(json.dumps({"classes": list(labels), "database": database}))
    for name, mode, shift in (("losa", "losa", 0.2), ("head_only", "head_only", 0.9)):
        config = PRESETS["tiny"](out, mode=mode, epochs=1, warmup_epochs=0)
        with warnings.catch_warnings(action="ignore"):  # these videos are not what the backbone was made for
            result = run(config, out / name, quiet=True)
        truth = make_truth(load_annotations(annotations).subset("test"), labels)
        predictions = {video: [{"segment": [r["segment"][0] + shift, r["segment"][1] + shift * (k % 2)],
                                "label": labels[(k + (k == 2)) % 2], "score": round(0.9 - 0.2 * k, 2)}
                               for k, r in enumerate(rows)] for video, rows in truth.items()}
        (out / name / "predictions.json").write_text(json.dumps({"version": "losa", "results": predictions}))
        found = evaluate(truth, predictions, config.tiou).to_dict()
        (out / name / "result.json").write_text(json.dumps({**result, **found}, default=str))
    return out

