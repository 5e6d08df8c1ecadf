// Shared by all widgets and put in front of each: elements, keys, the playhead they have in common, the time axis.
const SUPPRESS = "data-lm-suppress-shortcuts"; // keeps JupyterLab's shortcuts away from the element that has the focus

// An element with attributes (on...: a listener; class, data-x, aria-x as they are) and children; text stays text.
function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
  }
  node.setAttribute(SUPPRESS, "true"); // all may get it: a box that scrolls, too
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

// The model with the values of the traits `names` in place of what Python packed. Unpacking takes the browser a moment,
// in which the old values hold and what the model tells waits, so that all of it is heard in order.
export async function unpacked(model, names) {
  const values = {}, seen = {}, heard = new Map();
  let ready = Promise.resolve(), waiting = 0, own = false;
  const inflate = async ({ deflated, json }) => {
    const found = new Response(new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate")));
    return json ? found.json() : new DataView(await found.arrayBuffer());
  };
  const look = () => {
    const fresh = names.filter((name) => model.get(name) !== seen[name]);
    if (!fresh.length) return;
    const found = Promise.all(fresh.map((name) => inflate(seen[name] = model.get(name))));
    waiting += 1;
    ready = ready.then(() => found).then((all) => {
      fresh.forEach((name, i) => { values[name] = all[i]; });
      waiting -= 1;
    });
  };
  const later = (listener) => function (...what) {
    look();
    if (waiting && !own) ready.then(() => listener.apply(this, what));
    else listener.apply(this, what);
  };
  look();
  await ready;
  return { ...model, get: (name) => (names.includes(name) ? values[name] : model.get(name)),
    set(...given) { own = true; model.set(...given); own = false; },
    on(name, listener) {
      heard.set(listener, heard.get(listener) ?? later(listener));
      model.on(name, heard.get(listener));
    },
    off(name, listener) { model.off(name, heard.get(listener)); } };
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// Sets these traits and tells Python.
function put(model, values) {
  for (const pair of Object.entries(values)) model.set(...pair);
  model.save_changes();
}

// Listens to events of a model, {event: listener}; returns what ends it.
function listen(model, heard) {
  for (const pair of Object.entries(heard)) model.on(...pair);
  return () => { for (const pair of Object.entries(heard)) model.off(...pair); };
}
const changes = (names, listener) => Object.fromEntries(names.map((name) => [`change:${name}`, listener]));

const button = (text, title, onclick, more) => element("button", { type: "button", title, onclick, ...more }, text);
const readoutLine = () => element("p", { class: "readout", "aria-live": "polite" });
// Fills a list to choose from with {value: text} or [[value, text]].
const offer = (select, texts, chosen = select.value) => {
  const rows = Array.isArray(texts) ? texts : Object.entries(texts);
  select.replaceChildren(...rows.map(([value, text]) => element("option", { value }, text)));
  select.value = rows.some(([value]) => String(value) === String(chosen)) ? chosen : rows[0]?.[0] ?? "";
};

const dot = (colour) => element("span", { class: "dot", style: `background:${colour}` }); // the mark of a class or run

// Says in the widget that no kernel answers, and calls `change(lost)` at once and at every change: to disable what needs
// Python. Jupyter marks the place of a widget that never had a kernel, tells its model of a restart (the listener's
// `this` is the view), and tells the kernel's status where it died or its server is gone. Returns what ends it.
const LOST = "No kernel answers: run the notebook again (Run > Run All Cells) for what needs Python. The rest works.";

function attend({ model, el }, root, change = () => {}) {
  const line = element("p", { class: "lost", role: "status" }), kernel = model.widget_manager?.kernel;
  let dead = el.classList.contains("jupyter-widgets-disconnected");
  const look = () => {
    const lost = Boolean(dead || (kernel && kernel.connectionStatus !== "connected"));
    [line.hidden, line.textContent] = [!lost, lost ? LOST : ""];
    el.closest(".jp-OutputArea-output > .widget-box")?.classList.toggle("losa-lost", lost);
    change(lost);
  };
  const live = function () { dead = this?.model?.comm_live === false; look(); };
  const status = (_, now) => { dead ||= /dead|restarting|terminating/.test(now); look(); };
  root.prepend(line);
  const deaf = listen(model, { comm_live_update: live });
  for (const name of ["statusChanged", "connectionStatusChanged"]) kernel?.[name]?.connect(status);
  look();
  return () => {
    deaf();
    for (const name of ["statusChanged", "connectionStatusChanged"]) kernel?.[name]?.disconnect(status);
  };
}

// Keys of a widget: `actions` maps event.key (letters lower case) to functions. No key event leaves the widget, so that
// the notebook's shortcuts do not act. A field that uses a key itself (a slider's arrows, a button's Space) keeps it.
function keys(root, actions) {
  const own = { INPUT: /^(Arrow.*|Home|End|Page.*)$/, SELECT: /^(Arrow.*|Home|End|Page.*|Enter| |.)$/,
    BUTTON: /^( |Enter)$/, SUMMARY: /^( |Enter)$/ };
  root.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.ctrlKey || event.altKey || event.metaKey || own[event.target.tagName]?.test(event.key)) return;
    if (event.target.type === "number" && event.key === "Enter") return; // what was typed holds from now on
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action) { event.preventDefault(); action(event); }
  });
  for (const name of ["keyup", "keypress"]) root.addEventListener(name, (event) => event.stopPropagation());
}

// The playhead and the visible span of a group of widgets: in the browser, so that no kernel is asked while it moves.
// `on(listener)` is called with "time" (playhead moved), "span" (zoomed), "seek" (asked to go there) or "play" (asked
// to go there and play, to `until` or the end; only a widget with a video answers). Saved to Python at most four times
// a second.
const GROUPS = (globalThis.losaGroups ??= new Map());

function shared(model) {
  const listeners = [];
  let group, key, timer = 0, own = false, indent = 0, deaf = null;
  const join = () => {
    key = model.get("group");
    if (!GROUPS.has(key)) {
      GROUPS.set(key, { time: model.get("current_time"), span: [...model.get("span")], members: new Map() });
    }
    group = GROUPS.get(key);
    group.members.set(hear, indent);
    if (group.span[1] <= group.span[0]) group.span = [...model.get("span")];
  };
  const leave = () => {
    group.members.delete(hear);
    if (!group.members.size) GROUPS.delete(key);
    else tell("span");
  };
  const store = () => {
    timer = 0;
    own = true;
    put(model, { current_time: group.time, span: [...group.span] });
    own = false;
  };
  function hear(what) {
    for (const listener of listeners) listener(what);
    if (what !== "play" && !timer) timer = setTimeout(store, 250);
  }
  const tell = (what) => [...group.members.keys()].forEach((member) => member(what));
  const bus = {
    get time() { return group.time; },
    get span() { return group.span; },
    get until() { return group.until; },
    get left() { return Math.max(...group.members.values()); }, // pixels before the time axis, so that axes line up
    indent(pixels) { indent = pixels; group.members.set(hear, indent); tell("span"); },
    on(listener) { listeners.push(listener); },
    move(time) { group.time = time; tell("time"); }, // by the widget that plays
    seek(time, play = false, until = null) {
      [group.time, group.until] = [Math.max(0, time), until];
      tell("seek");
      tell("time");
      if (play) tell("play");
    },
    zoom(start, end) { if (end > start) { group.span = [start, end]; tell("span"); } },
    close() {
      clearTimeout(timer);
      deaf();
      leave();
    },
  };
  deaf = listen(model, {
    "change:current_time": () => {
      const time = model.get("current_time");
      if (!own && Math.abs(time - group.time) > 1e-6) bus.seek(time);
    },
    "change:span": () => {
      if (!own && String(model.get("span")) !== String(group.span)) bus.zoom(...model.get("span"));
    },
    "change:group": () => { leave(); join(); hear("span"); hear("time"); },
  });
  join();
  return bus;
}

// Time axis: seconds <-> pixels over `width` pixels of the visible span.
const scale = (span, width) => ({
  x: (time) => ((time - span[0]) / (span[1] - span[0])) * width,
  time: (x) => span[0] + (x / width) * (span[1] - span[0]),
});

// A new visible span around `at` seconds, `factor` times as long, inside [0, duration], not under a quarter second.
function zoomed(span, at, factor, duration) {
  const length = Math.min(Math.max((span[1] - span[0]) * factor, Math.min(0.25, duration)), duration);
  const start = at - ((at - span[0]) / (span[1] - span[0])) * length;
  return panned([start, start + length], 0, duration);
}

function panned([start, end], by, duration) {
  const length = end - start, first = Math.min(Math.max(start + by, 0), Math.max(duration - length, 0));
  return [first, first + length];
}

// Keys that move the playhead (arrows, with Shift 5 s; digits, tenths of the video; , and . by `step`) and zoom (z, x, f).
function timeKeys(bus, duration, go, step) {
  const zoom = (factor) => bus.zoom(...zoomed(bus.span, clamp(bus.time, ...bus.span), factor, duration()));
  const jump = (by) => ({ shiftKey }) => go(bus.time + by * (shiftKey ? 5 : 1));
  const digits = [..."0123456789"].map((digit) => [digit, () => go((digit / 10) * duration())]);
  return { ...Object.fromEntries(digits), ArrowLeft: jump(-1), ArrowRight: jump(1), ",": () => step(-1),
    ".": () => step(1), z: () => zoom(0.5), x: () => zoom(2), f: () => bus.zoom(0, duration()) };
}

// Times of axis marks: steps that a person would choose, about `wanted` of them in sight.
function marks(span, wanted) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
  const step = steps.find((s) => (span[1] - span[0]) / s <= wanted) ?? steps.at(-1), times = [];
  for (let i = Math.ceil(span[0] / step - 1e-9); i * step <= span[1] + 1e-9; i += 1) times.push(i * step);
  return { step, times };
}

// 7.5 s, 1:07.5 or 1:01:07 in a video of that length, with so many digits.
function clock(time, duration, digits = 1) {
  if (duration < 120) return `${time.toFixed(digits)} s`;
  const rounded = Number(time.toFixed(digits)), hours = Math.floor(rounded / 3600);
  const minutes = Math.floor(rounded / 60) % 60, seconds = (rounded % 60).toFixed(digits);
  const two = (text, width = 2) => String(text).padStart(width, "0"), wide = digits ? digits + 3 : 2;
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(seconds, wide)}`;
}

// Wheel, drag and double click on a time axis: Ctrl+wheel zooms, wheel too once the widget has the focus (so that a
// page still scrolls), Shift+wheel and a sideways wheel pan, a drag pans, a double click shows everything.
// `left()` pixels of the node lie before the axis. `click(x, y, event)` is called where nothing was dragged.
function navigate(node, bus, duration, { left = () => 0, click = () => {} } = {}) {
  const width = () => Math.max(node.clientWidth - left(), 1);
  const at = (event) => event.clientX - node.getBoundingClientRect().left - left();
  node.addEventListener("wheel", (event) => {
    const sideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (!sideways && !event.ctrlKey && !node.closest(".losa")?.contains(document.activeElement)) return;
    event.preventDefault();
    const delta = sideways ? event.deltaX || event.deltaY : event.deltaY; // a touch pad tells many small ones
    const turned = Math.max(-1, Math.min(delta / (event.deltaMode ? 1 : 40), 1)), length = bus.span[1] - bus.span[0];
    if (sideways) bus.zoom(...panned(bus.span, (turned * length) / 10, duration()));
    else bus.zoom(...zoomed(bus.span, scale(bus.span, width()).time(at(event)), 1.25 ** turned, duration()));
  }, { passive: false });
  let from = null, moved = false, began = null;
  node.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    [from, moved, began] = [event.clientX, false, [...bus.span]];
  });
  node.addEventListener("pointermove", (event) => {
    if (!event.buttons) from = null; // released elsewhere
    if (from === null) return;
    if (!moved && Math.abs(event.clientX - from) > 3) { moved = true; node.setPointerCapture(event.pointerId); }
    const by = ((from - event.clientX) / width()) * (began[1] - began[0]);
    if (moved) bus.zoom(...panned(began, by, duration()));
  });
  node.addEventListener("pointerup", (event) => {
    if (from !== null && !moved) click(at(event), event.clientY - node.getBoundingClientRect().top, event);
    from = null;
  });
  node.addEventListener("dblclick", () => bus.zoom(0, duration()));
}

// Gives a canvas the sharp size of its box and returns its context and size in CSS pixels, cleared.
function sheet(canvas, height) {
  const width = canvas.clientWidth || canvas.parentElement?.clientWidth || 600, ratio = globalThis.devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  canvas.style.height = `${height}px`;
  if (canvas.width !== wide || canvas.height !== high) { canvas.width = wide; canvas.height = high; }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

// The value of a CSS variable of the theme ("--ink", "--soft", "--line", "--back", "--card", "--accent", "--head").
const themed = (node, name) => getComputedStyle(node).getPropertyValue(name).trim();

// Calls `draw` once before the next picture, however often it is asked to.
function once(draw) {
  let waiting = 0;
  return () => { waiting ||= requestAnimationFrame(() => { waiting = 0; draw(); }); };
}

// Calls `draw` when the node's size or the theme changes; returns what ends it.
function watch(node, draw) {
  const sizes = new ResizeObserver(draw), themes = new MutationObserver(draw);
  const dark = globalThis.matchMedia?.("(prefers-color-scheme: dark)");
  sizes.observe(node);
  themes.observe(document.body, { attributes: true });
  dark?.addEventListener("change", draw);
  return () => { sizes.disconnect(); themes.disconnect(); dark?.removeEventListener("change", draw); };
}
