// Draws the widgets of an offline page, each with a model that behaves as anywidget's does, without a kernel.
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

const { shared: common, widgets } = JSON.parse(document.getElementById("losa-states").textContent, revived);
globalThis.losaModels = widgets.map(({ state }) => standIn({ ...common, ...state }));

const drawn = new Map(); // place in the page -> function that ends its widget
function draw(place) {
  const number = Number(place.dataset.widget), { render } = globalThis.losaParts[widgets[number].part];
  place.style.minHeight = "";
  drawn.set(place, render({ model: globalThis.losaModels[number], el: place }));
}

function remove(place) {
  place.style.minHeight = `${place.offsetHeight}px`; // so that nothing below moves
  drawn.get(place)?.();
  drawn.delete(place);
  place.replaceChildren();
}

// Of hundreds of widgets only those near the visible part of the page are drawn; one in use stays.
const inUse = (place) => place.contains(document.activeElement) || place.querySelector("video")?.paused === false;
const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting && !drawn.has(target)) draw(target);
    else if (!isIntersecting && drawn.has(target) && !inUse(target)) remove(target);
  }
}, { rootMargin: "400px" });
for (const place of document.querySelectorAll("[data-widget]")) {
  if ("lazy" in place.dataset) sight.observe(place);
  else draw(place);
}
let frame = null; // inside a notebook's output: as high as it is long
try { frame = window.frameElement; } catch { /* a page of another origin around it */ }
if (frame) {
  const fit = () => { frame.style.height = `${document.body.offsetHeight + 8}px`; };
  new ResizeObserver(fit).observe(document.body);
}
