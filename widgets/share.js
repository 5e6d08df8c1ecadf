// Draws the widgets of an offline page: a model for each that behaves as anywidget's does, without a kernel.
function revived(_, value) { // bytes travel in base64
  if (typeof value?.$bytes !== "string") return value;
  const text = atob(value.$bytes), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return new DataView(bytes.buffer);
}

function standIn(state) {
  const heard = new Map(), dirty = new Set();
  const tell = (name, ...what) => [...(heard.get(name) ?? [])].forEach((listener) => listener(...what));
  return {
    saved: new Set(), sent: [], // what a kernel would get
    get: (name) => state[name],
    set(name, value) {
      if (state[name] === value || JSON.stringify(state[name]) === JSON.stringify(value)) return;
      state[name] = value;
      dirty.add(name);
      tell(`change:${name}`, this, value);
    },
    save_changes() { dirty.forEach((name) => this.saved.add(name)); dirty.clear(); },
    on(name, listener) { heard.set(name, new Set([...(heard.get(name) ?? []), listener])); },
    off(name, listener) { heard.get(name)?.delete(listener); },
    send(content) { this.sent.push(content); },
    hear(content, buffers = []) { tell("msg:custom", content, buffers); }, // as if Python had sent it
  };
}

const main = document.querySelector("main"), states = document.getElementById("losa-states").textContent;
const given = JSON.parse(states, revived);
globalThis.losaModels = given.map(({ state }) => standIn(state));
for (const [i, { part }] of given.entries()) {
  const el = main.appendChild(document.createElement("div"));
  globalThis.losaParts[part].render({ model: globalThis.losaModels[i], el });
}
let frame = null; // inside a notebook's output: as high as it is long
try { frame = window.frameElement; } catch { /* a page of another origin around it */ }
if (frame) {
  const fit = () => { frame.style.height = `${document.body.offsetHeight + 8}px`; };
  new ResizeObserver(fit).observe(document.body);
}
