const tagKey = (video, kind, index) => `${kind} ${index} ${video}`;
// A tag in words: "ambiguous (half hidden)".
const tagText = (model, key) => {
  const [tag, note] = model.get("tagged")[key] ?? [""];
  return note ? `${tag} (${note})` : tag;
};

// The form for the tag of one segment; `show(segment)` says which, null none. `back` gets the focus after it.
function tagger(model, back) {
  let at = null, lost = false;
  const save = () => model.send({ kind: "tag", video: at.video, of: at.kind, index: at.index, tag: choice.value,
    note: choice.value ? note.value : "" });
  const choice = element("select", { "aria-label": "Tag", onchange: save });
  const note = element("input", { type: "text", "aria-label": "Note", placeholder: "note", size: 24, onchange: () =>
    choice.value && save() });
  const failed = element("span", { class: "error", role: "alert" }), name = element("span", { class: "soft" });
  const node = element("form", { class: "row tagger", onsubmit: (event) => event.preventDefault() }, name, choice, note,
    failed);
  keys(node, { Escape: back, Enter: () => { note.blur(); back(); } });
  const show = (segment) => {
    at = segment;
    node.hidden = !at || !model.get("live") || !model.get("tags").length;
    if (node.hidden) return;
    const [tag, text] = model.get("tagged")[tagKey(at.video, at.kind, at.index)] ?? ["", ""];
    name.textContent = `tag of ${at.name}:`;
    offer(choice, ["", ...model.get("tags")].map((value) => [value, value || "none"]), tag);
    [note.value, failed.textContent] = [text, lost ? "No kernel answers, so nothing can be tagged." : ""];
  };
  const hear = (message) => { if (message.kind === "untagged") { show(at); failed.textContent = message.error; } };
  const close = listen(model, { "msg:custom": hear, "change:tagged": () => document.activeElement !== note && show(at) });
  const lose = (is) => { choice.disabled = note.disabled = lost = is; show(at); };
  show(null);
  return { node, show, lose, focus: () => !node.hidden && choice.focus(), close };
}
