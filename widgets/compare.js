// A row of the list under the timeline at its score threshold: gain > 0: the first track is better; null: they agree.
function difference(row, low, names) {
  if (row.kind === "wrong") {
    if (row.score < low || row.twin >= low) return null;
    const name = names[row.track], gain = row.track ? row.score : -row.score;
    return { row, gain, kind: `wrong in ${name} only`, more: `score ${row.score.toFixed(2)}`, at: [name, row.index] };
  }
  const [a, b] = row.hits.map((hit) => (hit && hit[1] >= low ? hit : null)), gain = (a?.[0] ?? 0) - (b?.[0] ?? 0);
  if (Math.abs(gain) < 0.005) return null;
  const [name, hit] = gain > 0 ? [names[0], a] : [names[1], b], tiou = (x) => x[0].toFixed(2);
  return { row, gain, at: [name, hit[2]], kind: a && b ? `closer in ${name}` : `found by ${name} only`,
    more: a && b ? `tIoU ${tiou(a)} and ${tiou(b)}` : `tIoU ${tiou(hit)}, score ${hit[1].toFixed(2)}` };
}

function compared({ model, el }) {
  const bus = shared(model), list = element("ol"), said = readoutLine();
  const chosen = element("select", { "aria-label": "differences to list", onchange: () => draw() });
  el.querySelector(".main").append(element("section", { class: "differences", "aria-label": "differences" },
    element("div", { class: "row" }, element("strong", {}, "Differences"), chosen), said, list));
  const same = (at) => String(at) === String(model.get("selected") ?? "");
  const item = ({ row, gain, kind, more, at }) => {
    const [start, end] = row.segment.map((time) => clock(time, model.get("duration"))), better = gain > 0;
    const bar = element("i", { style: `width:${Math.min(Math.abs(gain), 1) * 50}%;${better ? "right" : "left"}:50%;`
      + `background:${model.get("run_colours")[model.get("lanes")[better ? 1 : 2]]}` });
    const swatch = dot(model.get("colours")[row.label] ?? "#777777");
    const go = () => {
      put(model, { selected: at });
      bus.seek(row.segment[0], true, row.segment[1]);
      el.querySelector(".stage").scrollIntoView({ block: "nearest" });
    };
    return element("li", {}, element("button", { "aria-current": String(same(at)), "data-at": String(at), onclick: go,
      title: "watch it" }, element("span", { class: "bar", "aria-hidden": "true" }, bar),
    element("span", {}, Math.abs(gain).toFixed(2)), swatch, element("span", {}, row.label),
    element("span", { class: "soft" }, `${start} – ${end}`), element("span", {}, `${kind}: ${more}`)));
  };
  const draw = once(() => {
    const names = model.get("lanes").slice(1), shown = new Set(model.get("shown_classes"));
    const all = model.get("differences").filter((row) => shown.has(row.label))
      .map((row) => difference(row, model.get("min_score"), names)).filter(Boolean)
      .sort((a, b) => Math.abs(b.gain) - Math.abs(a.gain)), counts = new Map([["", all.length]]);
    for (const { kind } of all) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    const wanted = counts.has(chosen.value) ? chosen.value : "", rows = all.filter((x) => !wanted || x.kind === wanted);
    offer(chosen, [...counts].map(([kind, number]) => [kind, `${kind || "all, largest first"} (${number})`]), wanted);
    const [left, right] = names.map((name) => element("span", {}, dot(model.get("run_colours")[name]), name));
    const told = [...counts].slice(1).map(([kind, number]) => `${number} ${kind}`).join(" · ");
    const sides = [`${told}. Bars to the left: `, left, " is better; to the right: ", right, "."];
    said.replaceChildren(...(all.length ? sides : ["No differences at this score threshold."]));
    list.replaceChildren(...rows.slice(0, 200).map(item));
    if (rows.length > 200) list.append(element("li", { class: "soft" }, `and ${rows.length - 200} smaller ones`));
  });
  const mark = () => list.querySelectorAll("button").forEach((b) => b.setAttribute("aria-current", same(b.dataset.at)));
  const deaf = listen(model, { ...changes(["differences", "run_colours", "min_score", "shown_classes"], draw),
    "change:selected": mark });
  draw();
  return () => { deaf(); bus.close(); };
}

export default { render(context) {
  const ends = [render(context), compared(context)];
  return () => ends.forEach((end) => end?.());
} };
