const PER_PAGE = 12;

function render({ model, el }) {
  const charts = element("div", { class: "charts" }), list = element("div", { class: "list" });
  const readout = readoutLine();
  const frames = element("div", { class: "frames" }), title = element("p", { class: "title" });
  const root = element("div", { class: "losa diagnosis", role: "group", "aria-label": "error diagnosis" },
    title, charts, readout, frames, list), form = tagger(model, () => list.querySelector("[aria-pressed=true]")?.focus());
  frames.before(form.node);
  let content, bar, heading, row, addresses = [], lost = false;

  const press = (node, on) => node.setAttribute("aria-pressed", on);
  // A button behind which the segments of a bar are; `of` names the chart it is in.
  const opener = (of, it, said, attributes, ...children) => element("button", { type: "button",
    "aria-label": `${of}: ${said}`, "aria-pressed": "false", ...attributes, onclick: (event) => {
      charts.querySelectorAll("button").forEach((node) => press(node, node === event.currentTarget));
      [bar, heading] = [it, of];
      fill(0);
    } }, ...children);
  const section = (name, note, children) => element("section", { "aria-label": name }, element("h4", {}, name),
    element("p", { class: "soft" }, note), children);
  const chart = ([name, note, bars]) => section(name, note, bars.map((it) => opener(name, it, `${it.name}, ${it.text}`,
    { class: "bar" }, element("span", {}, it.name), element("span", {}, element("span", { class: "fill",
      style: `width:max(${100 * it.share}%, ${it.share ? 2 : 0}px);background:${content.kinds[it.kind].colour}` })),
    element("span", {}, it.text))));
  const slice = ([name, count, bars]) => element("div", { class: "slice" }, element("span", {}, name),
    element("div", { class: "stack" }, bars.map((it, i) => opener(name, it, `${it.name}, ${it.count} of ${count}`, {
      class: "part", title: `${it.name}, ${it.count} of ${count}`, tabindex: i ? -1 : 0, style: `width:${
        100 * it.share}%;background:${content.kinds[it.kind].colour};color:${content.kinds[it.kind].dark ? "#fff" : "#111"}` },
    it.share < 0.08 ? "" : `${Math.round(100 * it.share)}%`))));

  function draw() {
    content = model.get("content");
    title.textContent = model.get("title");
    bar = null;
    charts.replaceChildren(...content.charts.map(chart));
    charts.children[1].after(section("The best predictions, slice by slice",
      "1G: the best of each class, as many as it has instances; 2G: as many again ...", content.profile.map(slice)));
    fill(0);
  }

  function fill(page) {
    const last = Math.max(Math.ceil((bar?.rows.length ?? 0) / PER_PAGE) - 1, 0);
    const turner = (word, to) => button(word, null, () => {
      fill(to);
      (list.querySelector(`.${word}:enabled`) ?? list.querySelector(".row :enabled")).focus();
    }, { class: word, disabled: to < 0 || to > last });
    readout.textContent = !bar ? "Every bar is a button: choose one to see its segments."
      : `${heading}: ${bar.name}. ${content.kinds[bar.kind].meaning} ${bar.count} segment${bar.count === 1 ? "" : "s"}${
        bar.rows.length < bar.count ? `, of which the ${bar.rows.length} of highest score are listed` : ""}.`;
    list.replaceChildren(...(bar?.rows ?? []).slice(page * PER_PAGE, (page + 1) * PER_PAGE).map(line),
      ...(last ? [element("div", { class: "row" }, turner("previous", page - 1), turner("next", page + 1),
        `page ${page + 1} of ${last + 1}`)] : []));
    choose(null);
  }
  const line = (id) => {
    const [video, kind, , label, start, end, score, why] = content.rows[id];
    const tag = tagText(model, tagKey(...content.rows[id]));
    return element("button", { type: "button", class: "line", "data-row": id, onclick: () => choose(id) },
      dot(content.colours[label] ?? "#777"),
      ...[label, `${end < 120 ? start.toFixed(1) : clock(start, end)}–${clock(end, end)}`, kind === "truth" ? "" : score.toFixed(2),
        tag ? `${why}; tagged ${tag}` : why, video].map((text) => element("span", {}, text)));
  };

  function choose(id) {
    row = id;
    picture([], "");
    list.querySelectorAll(".line").forEach((node) => press(node, node.dataset.row === String(id)));
    form.show(id === null ? null : { video: content.rows[id][0], kind: content.rows[id][1], index: content.rows[id][2],
      name: content.rows[id][3] });
    if (id === null) return;
    const [video, kind, index, , ...segment] = content.rows[id];
    put(model, { selected: { video, kind, index } });
    if (content.frames && model.get("live") && !lost) model.send({ row: id, video, segment: segment.slice(0, 2) });
  }
  function picture(buffers, error) {
    addresses.forEach((address) => URL.revokeObjectURL(address));
    addresses = buffers.map((bytes) => URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" })));
    frames.replaceChildren(error, ...["start", "middle", "end"].slice(0, addresses.length).map((at, i) => element(
      "figure", {}, element("img", { src: addresses[i], alt: `frame at the ${at} of the segment` }), at)));
  }
  const heard = (message, buffers) => message.row !== undefined && message.row === row && picture(buffers, message.error);
  const walk = (event) => {
    const all = [...root.querySelectorAll("button:enabled")], by = /Down|Right/.test(event.key) ? 1 : -1;
    all[all.indexOf(event.target) + by]?.focus();
  };
  const retag = () => list.querySelectorAll(".line").forEach((node) => {
    const fresh = line(Number(node.dataset.row));
    node.children[4].textContent = fresh.children[4].textContent;
  });
  keys(root, { ArrowDown: walk, ArrowRight: walk, ArrowUp: walk, ArrowLeft: walk, t: form.focus });
  const deaf = listen(model, { "change:tagged": retag, "msg:custom": heard, "change:content": draw });
  draw();
  el.append(root);
  const leave = attend({ model, el }, root, (is) => { lost = is; form.lose(is); });
  return () => { leave(); deaf(); form.close(); picture([], ""); };
}
export default { render };
