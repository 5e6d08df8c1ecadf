// The slider of all timelines of a page, and how many segments of each video reach its score.
function countSegments(note, minScore) {
  const number = Number(note.dataset.counts.split(" ")[Math.round(minScore / 0.05) - 1]), { best } = note.dataset;
  const tracks = globalThis.losaModels[note.closest(".video").id.split("-")[1]].get("tracks");
  const drawn = Object.values(tracks).flat().filter(({ score }) => score >= minScore).length;
  if (!number) return best ? `none; the best score is ${best}` : "none";
  return `${number} segment${number === 1 ? "" : "s"}${drawn < number ? `, the ${drawn} strongest drawn` : ""}`;
}

const slider = document.querySelector("#min-score"), shown = document.querySelector("#min-score-shown");
const update = () => {
  const minScore = Number(slider.value);
  shown.textContent = minScore.toFixed(2);
  for (const model of globalThis.losaModels) model.set("min_score", minScore);
  for (const note of document.querySelectorAll("[data-counts]")) note.textContent = countSegments(note, minScore);
};
slider.addEventListener("input", update);
update();
