// Shared by the widgets that colour numbers: even steps of lightness, told apart with any colour vision.
const RISING = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const SIGNED = [[11, 77, 140], [116, 166, 210], [243, 243, 243], [226, 150, 84], [140, 60, 0]]; // white is 0
const FONT = 'system-ui, "DejaVu Sans", sans-serif';

// The colour [red, green, blue] of a value between two limits; a lower limit below 0 means that signs differ.
function coloured(value, [low, high]) {
  const stops = low < 0 ? SIGNED : RISING, share = Math.min(Math.max((value - low) / (high - low), 0), 1) * 4;
  const i = Math.min(Math.floor(share), 3);
  return stops[i].map((part, j) => Math.round(part + (stops[i + 1][j] - part) * (share - i)));
}

// Limits of a colour scale: from 0 to the largest value; as far below 0 as above it where signs differ.
function limitsOf(values) {
  const [low, high] = values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [0, 0]);
  return low < 0 ? [-Math.max(-low, high), Math.max(-low, high)] : [0, high || 1];
}

// A colour bar with the numbers at its ends and in its middle.
function colourBar(limits) {
  const at = (share) => limits[0] + (limits[1] - limits[0]) * share, stripe = element("span", { class: "stripe" });
  const colours = Array.from({ length: 17 }, (_, i) => `rgb(${coloured(at(i / 16), limits)})`);
  stripe.style.background = `linear-gradient(90deg, ${colours.join(", ")})`;
  const texts = [0, 0.5, 1].map((i) => element("span", {}, at(i).toFixed(2)));
  return element("div", { class: "scale soft" }, stripe, texts);
}

// Numbers from a trait of bytes.
const numbers = ({ buffer, byteOffset: at, byteLength: long }, Kind = Float32Array) =>
  new Kind(buffer.slice(at, at + long));

// Evenly spaced snippets with these centres, seconds: `at` time -> place in snippets, `of` -> number of the snippet.
function snippets(times, duration) {
  const size = times.length, step = size > 1 ? (times[size - 1] - times[0]) / (size - 1) : duration;
  const at = (time) => (time - times[0]) / step + 0.5;
  return { size, step, at, of: (time) => Math.min(Math.max(Math.floor(at(time)), 0), size - 1) };
}

// The time axis below a map, and the playhead.
function drawAxis(context, bus, { left, wide, top, duration }, [soft, head, back]) {
  const { step, times } = marks(bus.span, wide / 90), axis = scale(bus.span, wide), now = axis.x(bus.time);
  context.fillStyle = soft;
  context.font = `11px ${FONT}`;
  for (const time of times) {
    const text = clock(time, duration, step < 1 ? 1 : 0), x = axis.x(time), long = context.measureText(text).width;
    context.fillRect(left + x, top, 1, 4);
    context.fillText(text, left + Math.min(Math.max(x - long / 2, 0), wide - long), top + 12);
  }
  for (const [colour, half] of now >= 0 && now <= wide ? [[back, 2], [head, 1]] : []) {
    context.fillStyle = colour;
    context.fillRect(left + Math.min(now, wide - 1) - half, 0, 2 * half, top + 4);
  }
}

// A list to choose a trait's value from.
const choice = (model, name, label, as = String) => element("select", { "aria-label": label, onchange: (event) =>
  put(model, { [name]: as(event.target.value) }) });

// The keys of time, steps being snippets, those of the widget, drawing whenever something changes. Returns what ends it.
function mount({ model, el }, bus, root, { traits, fill, draw, step, said, actions = {} }) {
  const duration = () => model.get("duration"), go = (time) => { bus.seek(Math.min(time, duration())); said(); };
  keys(root, { ...timeKeys(bus, duration, go, (by) => go(bus.time + by * step())), ...actions });
  const ends = [watch(root, draw), attend({ model, el }, root), bus.close, listen(model, changes(traits, once(fill)))];
  bus.on(draw);
  el.append(root);
  fill();
  return () => ends.forEach((end) => end());
}
