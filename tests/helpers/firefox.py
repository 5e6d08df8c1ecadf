"""A headless Firefox for tests, driven by WebDriver BiDi, which it speaks itself: no driver between it and Python."""

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import time

from helpers.lab import end

FIREFOX = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
PREFERENCES = {"browser.shell.checkDefaultBrowser": False, "datareporting.policy.dataSubmissionEnabled": False,
               "app.update.enabled": False, "media.autoplay.default": 0, "remote.active-protocols": 1,
               "browser.aboutwelcome.enabled": False, "toolkit.telemetry.reportingpolicy.firstRun": False,
               "network.captive-portal-service.enabled": False, "network.connectivity-service.enabled": False,
               "focusmanager.testmode": True}  # a window has the focus without a screen
KEYS = {"Escape": "\ue00c", "ArrowDown": "\ue015", "ArrowRight": "\ue014", "Enter": "\ue007", "Control": "\ue009"}


@contextlib.contextmanager
def firefox(folder):
    """A `Page` of a Firefox whose profile lies in `folder`."""
    import websocket

    profile = folder / "profile"
    profile.mkdir(parents=True)
    (profile / "user.js").write_text("".join(f'user_pref("{name}", {json.dumps(value)});\n'
                                             for name, value in PREFERENCES.items()))
    log = (folder / "firefox.log").open("w+")
    process = subprocess.Popen([FIREFOX, "--headless", "--no-remote", "--profile", str(profile),
                                "--remote-debugging-port=0"], stderr=log, stdout=log,
                               env=os.environ | {"HOME": str(folder), "MOZ_REMOTE_SETTINGS_DEVTOOLS": "1"})
    try:
        for _ in range(240):
            found = re.search(r"WebDriver BiDi listening on (ws://\S+)", (folder / "firefox.log").read_text())
            if found:
                break
            assert process.poll() is None, (folder / "firefox.log").read_text()
            time.sleep(0.25)
        assert found, (folder / "firefox.log").read_text()
        socket = websocket.create_connection(f"{found[1]}/session", timeout=60, suppress_origin=True)
        yield Page(socket)
        socket.close()
    finally:
        end(process)
        log.close()


class Page:
    """One tab: `problems` are the messages of its console that are errors or warnings, and uncaught exceptions."""

    def __init__(self, socket):
        self.socket, self.number, self.problems = socket, 0, []
        self.ask("session.new", capabilities={})
        self.ask("session.subscribe", events=["log.entryAdded"])
        self.context = self.ask("browsingContext.getTree")["contexts"][0]["context"]

    def ask(self, method, **params):
        """Send a command and return its result; what the console said meanwhile is kept."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            told = json.loads(self.socket.recv())
            if told.get("method") == "log.entryAdded" and told["params"]["level"] in ("error", "warn"):
                self.problems.append(told["params"].get("text"))
            if told.get("id") == self.number:
                assert told["type"] == "success", told
                return told["result"]

    def open(self, url, size=(1280, 900)):
        """Go to an address and wait until it is loaded."""
        self.ask("browsingContext.setViewport", context=self.context,
                 viewport={"width": size[0], "height": size[1]})
        self.ask("browsingContext.navigate", context=self.context, url=url, wait="complete")

    def value(self, expression):
        """Return what this JavaScript expression, or the promise that it gives, is, by way of JSON."""
        told = self.ask("script.evaluate", target={"context": self.context}, awaitPromise=True,
                        expression=f"(async () => JSON.stringify(await ({expression})))()")
        assert told["type"] == "success", told
        return json.loads(told["result"].get("value") or "null")

    def comes(self, expression, timeout_s=30):
        """Wait until the expression is true; fails if it does not get so."""
        for _ in range(10 * timeout_s):
            if self.value(expression):
                return
            time.sleep(0.1)
        raise AssertionError(f"{expression} is still {self.value(expression)!r}; console: {self.problems}")

    def click(self, x, y):
        """Click at this place of the window, CSS pixels."""
        self.ask("input.performActions", context=self.context, actions=[{
            "type": "pointer", "id": "mouse", "actions": [
                {"type": "pointerMove", "x": round(x), "y": round(y)}, {"type": "pointerDown", "button": 0},
                {"type": "pointerUp", "button": 0}]}])

    def press(self, *names):
        """Type these keys one after the other."""
        self.ask("input.performActions", context=self.context, actions=[{"type": "key", "id": "keys", "actions": [
            {"type": kind, "value": KEYS.get(name, name)} for name in names for kind in ("keyDown", "keyUp")]}])

    def picture(self, path):
        """Write a screenshot."""
        data = self.ask("browsingContext.captureScreenshot", context=self.context)["data"]
        path.write_bytes(base64.b64decode(data))
