const ROW = 54, KEPT = 300, NOTHING = "–"; // pixels of a row; rows whose pictures are kept; in place of no label
const COLUMNS = [["error", "what it is"], ["predicted", "predicted"], ["really", "really"], ["score", "score"],
  ["length", "length"], ["start", "when"], ["video", "video"], ["tag", "tag"]];
const SETS = { errors: "all errors", all: "everything" }; // of kinds, beside each kind
const SAID = { similar: "moments of all subsets, most like the chosen one first. Enter plays those of test videos.",
  doubts: "annotated moments whose neighbours have another label, which “predicted” says; the most doubtful first." };
const RIGHT = new Set(["true positive", "found", "left out"]);

function render({ model, el }) {
  const bus = shared(model), pictures = new Map(); // key of a row -> addresses of its pictures, or why there are none
  let base = null, rows = null, order = [], cursor = 0, sort = ["", 1], waiting = "", said = "";
  const title = element("p", { class: "title" }), readout = readoutLine();
  const inner = element("div", { class: "inner" }), heads = element("div", { class: "line heads" });
  const pane = element("div", { class: "pane", role: "listbox", tabindex: "0", "aria-label": "Segments" }, inner);
  const form = tagger(model, () => pane.focus());
  const id = `losa-${Math.random()}`.replace(".", "");

  // --- rows: a column of numbers each; what they say in words
  const word = (name, i, of = rows) => ({ error: of.errors, predicted: of.labels, really: of.labels, video: of.videos,
    kind: of.kinds })[name][of[name][i]];
  const keyOf = (i) => tagKey(word("video", i), word("kind", i), rows.index[i]);
  const here = (i) => base.videos.includes(word("video", i)); // further lists have moments of other videos
  const chosen = () => (rows && order.length ? order[cursor] : null);
  const when = (i) => `${clock(rows.start[i], rows.end[i])} – ${clock(rows.end[i], rows.end[i])}`;
  const value = (name, i) => ({ length: () => `${(rows.end[i] - rows.start[i]).toFixed(1)} s`, start: () => when(i),
    score: () => ((rows.value ?? rows.score)[i]?.toFixed(2) ?? ""), tag: () => tagText(model, keyOf(i)) }[name]
    ?? (() => word(name, i) || NOTHING))();

  // --- filters: a field each, kept in the trait `shown`
  const set = (name, text) => {
    put(model, { shown: { ...model.get("shown"), [name]: text } });
    fill();
  };
  const choice = (name, label) => element("select", { "data-name": name, "aria-label": label, onchange: (event) =>
    set(name, event.target.value) });
  const number = (name, label, step) => element("input", { type: "number", "data-name": name, "aria-label": label,
    title: label, step, min: 0, placeholder: label.replace("at least", "≥").replace("at most", "≤"), onchange: (event) =>
      set(name, event.target.value === "" ? null : Number(event.target.value)) });
  const fields = [choice("error", "What it is"), choice("predicted", "Predicted label"), choice("really", "Real label"),
    choice("video", "Video"), choice("tag", "Tag to show"), number("low", "score at least", 0.05),
    number("high", "score at most", 0.05), number("shortest", "seconds at least", 0.5),
    number("longest", "seconds at most", 0.5)];
  const filters = element("div", { class: "row filters" }, fields);
  const labels = (name) => [...new Set(rows[name])].map((at) => rows.labels[at]).map((label) => [label || NOTHING,
    `${name} ${label || "nothing"}`]).sort(); // of those that occur there
  const options = () => ({ error: [...Object.entries(SETS), ...rows.errors.map((e) => [e, e])],
    predicted: [["", "any prediction"], ...labels("predicted")], really: [["", "any truth"], ...labels("really")],
    video: [["", "all videos"], ...rows.videos.map((v) => [v, v]).sort()],
    tag: [["", "any tag or none"], ["none", "no tag"], ["any", "any tag"], ...model.get("tags").map((t) => [t, t])] });
  function choices() {
    for (const [name, list] of Object.entries(options())) {
      const node = fields.find((field) => field.dataset.name === name), now = model.get("shown")[name] ?? "";
      offer(node, list, now);
    }
    for (const node of fields.slice(5)) node.value = model.get("shown")[node.dataset.name] ?? "";
  }

  function passing() {
    const { error = "errors", predicted, really, video, tag, low, high, shortest, longest } = model.get("shown");
    const listed = rows !== base, numberOf = (list, text) => (text ? list.indexOf(text === NOTHING ? "" : text) : -1), found = [];
    const kinds = rows.errors.map((name) => listed || error === "all" || (error === "errors" ? !RIGHT.has(name)
      : name === error));
    const [p, r, v] = [[rows.labels, predicted], [rows.labels, really], [rows.videos, video]].map((of) => numberOf(...of));
    for (let i = 0; i < rows.start.length; i += 1) {
      const score = rows.score[i], length = rows.end[i] - rows.start[i];
      if (!kinds[rows.error[i]] || (p >= 0 && rows.predicted[i] !== p) || (r >= 0 && rows.really[i] !== r)
        || (v >= 0 && rows.video[i] !== v) || (score === null ? (low ?? high ?? null) !== null : score < (low ?? 0) || score > (high ?? Infinity))
        || length < (shortest ?? 0) || length > (longest ?? Infinity)) continue;
      const name = tag ? model.get("tagged")[keyOf(i)]?.[0] : "";
      if (!tag || (tag === "none" ? !name : tag === "any" ? name : name === tag)) found.push(i);
    }
    return found;
  }
  function sorted(found) {
    const [name, by] = sort, texts = ["error", "predicted", "really", "video"].includes(name);
    if (!name) return found;
    const keys = texts ? new Map(found.map((i) => [i, word(name, i)])) : new Map(found.map((i) => [i, name === "length"
      ? rows.end[i] - rows.start[i] : name === "score" ? (rows.value ?? rows.score)[i] ?? -1 : name === "tag" ? value("tag", i)
        : rows[name][i]]));
    return found.sort((a, b) => by * (keys.get(a) > keys.get(b) ? 1 : keys.get(a) < keys.get(b) ? -1 : 0) || a - b);
  }

  function fill() {
    if (!rows) return;
    const before = chosen() === null ? "" : keyOf(chosen());
    choices();
    order = sorted(passing());
    cursor = Math.max(order.findIndex((i) => keyOf(i) === before), 0);
    inner.style.height = `${order.length * ROW}px`;
    heads.replaceChildren(element("span", {}, model.get("pictured") ? "start, middle, end" : ""),
      ...COLUMNS.map(([name, label]) => element("button", { type: "button", "aria-label": `sort by ${label}`,
        "aria-pressed": String(sort[0] === name), onclick: () => { sort = [name, sort[0] === name ? -sort[1] : 1]; fill(); } },
      name === "score" && rows.value ? rows.value_name : label, sort[0] === name ? (sort[1] > 0 ? " ▲" : " ▼") : "")));
    const all = rows.start.length;
    readout.textContent = said ? `${order.length} ${said}` : `${order.length} of ${all} segments${order.length ? "" : `. ${model.get("note")
      || "Nothing passes the filters: choose “everything”, or clear a field"}`}. Up, down: choose; Enter: play; t: tag.`;
    pane.scrollTop = Math.min(pane.scrollTop, Math.max(order.length * ROW - pane.clientHeight, 0));
    draw();
  }

  // --- the rows in sight, and their pictures, one request at a time
  function line(n) {
    const i = order[n], texts = COLUMNS.map(([name]) => element("span", { title: value(name, i) },
      name === "tag" ? value(name, i).split(" (")[0] : value(name, i)));
    const colour = model.get("colours")[word("predicted", i) || word("really", i)] ?? "#777";
    texts[0].prepend(dot(colour));
    const shots = pictures.get(keyOf(i)), strip = element("span", { class: "strip" }, Array.isArray(shots)
      ? shots.map((src) => element("img", { src, alt: "" })) : shots ?? "");
    return element("div", { class: "line", role: "option", id: `${id}-${n}`, "aria-selected": String(n === cursor),
      "aria-posinset": n + 1, "aria-setsize": order.length, style: `top:${n * ROW}px`, onclick: () => go(n) },
    strip, texts);
  }
  const sight = () => {
    const first = Math.max(Math.floor(pane.scrollTop / ROW) - 1, 0);
    return [first, Math.min(first + Math.ceil((pane.clientHeight || 400) / ROW) + 2, order.length)];
  };
  const draw = once(() => {
    const [from, to] = sight(), list = [];
    for (let n = from; n < to; n += 1) list.push(line(n));
    inner.replaceChildren(...list);
    if (order.length) pane.setAttribute("aria-activedescendant", `${id}-${cursor}`);
    else pane.removeAttribute("aria-activedescendant");
    const i = chosen();
    form.show(i === null || !here(i) ? null : { video: word("video", i), kind: word("kind", i), index: rows.index[i],
      name: `${word("error", i)} ${word("predicted", i) || word("really", i)}, ${when(i)}` });
    ask();
  });
  function ask() {
    if (waiting || !model.get("pictured") || !model.get("live")) return;
    const [from, to] = sight(), i = order.slice(from, to).find((row) => !pictures.has(keyOf(row)));
    if (i === undefined) return;
    waiting = keyOf(i);
    model.send({ kind: "frames", key: waiting, video: word("video", i), segment: [rows.start[i], rows.end[i]] });
  }
  function keep(key, buffers, error) {
    pictures.set(key, error || buffers.map((bytes) => URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }))));
    const [oldest, shots] = pictures.entries().next().value;
    if (pictures.size > KEPT && pictures.delete(oldest) && Array.isArray(shots)) shots.forEach((src) => URL.revokeObjectURL(src));
    if (waiting === key) waiting = "";
    draw();
  }

  // --- what one does
  function move(n) {
    cursor = Math.min(Math.max(n, 0), Math.max(order.length - 1, 0));
    if (cursor * ROW < pane.scrollTop) pane.scrollTop = cursor * ROW;
    if ((cursor + 1) * ROW > pane.scrollTop + pane.clientHeight) pane.scrollTop = (cursor + 1) * ROW - pane.clientHeight;
    draw();
  }
  function go(n) {
    move(n);
    if (chosen() === null) return;
    const [video, of, index] = [word("video", chosen()), word("kind", chosen()), rows.index[chosen()]];
    if (!here(chosen())) { readout.textContent = `${video} is not in the table of segments: nothing to play or to tag.`; return; }
    put(model, { selected: { video, kind: of, index } });
    if (model.get("live")) model.send({ kind: "play", time: rows.start[chosen()], until: rows.end[chosen()] });
  }
  const list = (kind) => {
    const i = chosen();
    if (kind === "similar" && i === null) return;
    readout.textContent = kind === "similar" ? "Looking for similar moments in the cached features ..." : "Comparing labels ...";
    model.send({ kind, tap: tap.value, ...(i === null ? {} : { video: word("video", i), of: word("kind", i), index: rows.index[i] }) });
  };
  const tap = element("select", { "aria-label": "Compare by" });
  const lists = element("div", { class: "row" }, button("similar moments", "in all subsets, most alike first (s)", () => list("similar")),
    button("labels in doubt", "ground truth whose neighbours have another label", () => list("doubts")), "by", tap,
    button("back to all", "the table of segments", () => { said = ""; show(base); }));
  function show(found, name = "") {
    [rows, sort, cursor, order] = [found, ["", 1], 0, []];
    if (name) rows.value_name = { similar: "alike", doubts: "disagree" }[name];
    lists.lastChild.disabled = rows === base;
    filters.hidden = rows !== base;
    pane.scrollTop = 0;
    fill();
  }
  const hear = ({ kind, time, until, ...message }, buffers) => {
    if (kind === "rows") { said = ""; base = message.rows; show(base); }
    if (kind === "frames") keep(message.key, buffers, message.error);
    if (kind === "play") requestAnimationFrame(() => requestAnimationFrame(() => bus.seek(time, true, until)));
    if (kind === "failed") readout.textContent = message.error;
    if (kind === "list") { said = SAID[message.name]; show(message.rows, message.name); }
  };
  const root = element("div", { class: "losa segments", role: "group", "aria-label": "table of segments" }, title, filters,
    lists, readout, form.node, heads, pane);
  keys(root, { ArrowDown: () => move(cursor + 1), ArrowUp: () => move(cursor - 1), Home: () => move(0),
    End: () => move(order.length - 1), PageDown: () => move(cursor + 6), PageUp: () => move(cursor - 6),
    Enter: () => go(cursor), t: () => form.focus(), s: () => list("similar") });
  pane.addEventListener("scroll", draw);
  const head = () => {
    title.textContent = model.get("title");
    offer(tap, model.get("taps").map((name) => [name, name]));
    lists.hidden = !model.get("live") || !model.get("taps").length;
    fill();
  };
  el.append(root);
  const lose = (lost) => { form.lose(lost);
    for (const node of lists.querySelectorAll("button:not(:last-child)")) node.disabled = lost; };
  const ends = [watch(pane, draw), attend({ model, el }, root, lose), bus.close, form.close, listen(model, { "msg:custom": hear,
    ...changes(["title", "taps", "tags"], head), ...changes(["shown", "tagged", "note"], fill) })];
  if (model.get("rows")) hear({ kind: "rows", rows: model.get("rows") }, []);
  else model.send({ kind: "rows" });
  head();
  return () => { ends.forEach((end) => end());
    for (const shots of pictures.values()) if (Array.isArray(shots)) shots.forEach((src) => URL.revokeObjectURL(src)); };
}
export default { render };
