"use strict";
// One timeline per .video: click or Enter plays from there, Space plays and pauses, arrows step, n and p walk.
const seconds = (element) => Number(element.dataset.start);

// As `clock` in page.py: hours, minutes and seconds in videos of two minutes or more.
function told(time, duration) {
  if (duration < 120) return `${time.toFixed(1)} s`;
  const whole = Math.floor(time), two = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(whole / 60), long = duration >= 3600;
  return `${long ? `${Math.floor(minutes / 60)}:${two(minutes % 60)}` : minutes}:${two(whole % 60)}`;
}

function setUp(box) {
  const video = box.querySelector("video"), lanes = box.querySelector(".lanes"), head = box.querySelector(".head");
  const readout = box.querySelector(".readout"), duration = Number(box.dataset.duration);
  const segments = [...box.querySelectorAll(".seg")];
  const now = () => (video ? video.currentTime : 0);

  const button = box.querySelector(".play"), clock = box.querySelector(".clock");

  const draw = () => {
    head.style.left = `${100 * Math.min(now() / duration, 1)}%`;
    if (!video) return;
    clock.textContent = told(now(), duration);
    button.textContent = video.paused ? "Play" : "Pause";
  };
  const tick = () => { draw(); if (video && !video.paused) requestAnimationFrame(tick); };
  const seek = (time) => { if (video) { video.currentTime = Math.min(Math.max(time, 0), duration); draw(); } };
  const play = () => { if (video) video.play().catch(() => {}); };
  const toggle = () => (video && video.paused ? play() : video?.pause());
  const tell = (segment) => { readout.textContent = segment.getAttribute("aria-label"); };

  const focusable = () => segments.filter((s) => !s.hidden);
  const walk = (from, step) => {
    const track = from?.closest(".track") ?? box.querySelector(".track");
    const here = focusable().filter((s) => s.closest(".track") === track).sort((a, b) => seconds(a) - seconds(b));
    const at = from ? here.indexOf(from) + step : 0;
    here[Math.min(Math.max(at, 0), here.length - 1)]?.focus();
  };
  const change = (from, step) => {
    const tracks = [...box.querySelectorAll(".track")].filter((t) => focusable().some((s) => t.contains(s)));
    const track = tracks[tracks.indexOf(from?.closest(".track")) + step];
    const near = focusable().filter((s) => s.closest(".track") === track);
    near.sort((a, b) => Math.abs(seconds(a) - seconds(from)) - Math.abs(seconds(b) - seconds(from)));
    near[0]?.focus();
  };

  lanes.addEventListener("click", (event) => {
    const segment = event.target.closest(".seg"), track = event.target.closest(".track");
    if (segment) { tell(segment); segment.focus({ preventScroll: true }); seek(seconds(segment)); play(); return; }
    if (!track) return;
    const area = track.getBoundingClientRect();
    seek(duration * (event.clientX - area.left) / area.width);
  });
  lanes.addEventListener("focusin", (event) => { if (event.target.matches(".seg")) tell(event.target); });
  lanes.addEventListener("mouseover", (event) => {
    const segment = event.target.closest(".seg");
    if (segment) tell(segment);
  });
  lanes.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const segment = event.target.closest(".seg"), step = event.shiftKey ? 5 : 1;
    const actions = {
      " ": toggle,
      "ArrowLeft": () => seek(now() - step), "ArrowRight": () => seek(now() + step),
      "ArrowUp": () => (segment ? change(segment, -1) : walk(null, 0)),
      "ArrowDown": () => (segment ? change(segment, 1) : walk(null, 0)),
      "n": () => walk(segment, 1), "p": () => walk(segment, -1),
      "Home": () => seek(0), "End": () => seek(duration),
      "Enter": () => { if (segment) { seek(seconds(segment)); play(); } },
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action) { event.preventDefault(); action(); }
  });
  if (video) {
    button.addEventListener("click", toggle);
    video.addEventListener("click", toggle);
    for (const name of ["timeupdate", "seeked", "loadedmetadata", "pause", "ended"]) video.addEventListener(name, draw);
    video.addEventListener("play", tick);
    video.addEventListener("error", () => {
      readout.textContent = "This browser cannot play this video: its format is not one it knows (H.264 mp4 plays "
        + "everywhere), or the file was moved.";
    });
  }
  draw();
}

// A label is shown where it fits. All are measured before any is changed: one layout, not one for each.
function fitLabels(within) {
  const names = [...within.querySelectorAll(".seg:not([hidden]) .name")];
  for (const name of names) name.hidden = false;
  const fits = names.map((name) => name.offsetWidth + 4 <= name.parentElement.clientWidth);
  names.forEach((name, i) => { name.hidden = !fits[i]; });
}

// Hundreds of videos: a panel is worked on when it comes into view, where its first frame is loaded, too.
const visible = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) { visible.delete(target); continue; }
    visible.add(target);
    fitLabels(target);
    const video = target.querySelector("video[preload=none]");
    if (video) video.preload = "metadata";
  }
}, { rootMargin: "300px" });
const fitVisible = () => visible.forEach(fitLabels);

function filter(minScore) {
  for (const track of document.querySelectorAll(".track[data-truth]")) {
    let found = 0, wrong = 0, rows = 1;
    for (const segment of track.querySelectorAll(".seg")) {
      segment.hidden = Number(segment.dataset.score) < minScore;
      if (segment.hidden) continue;
      if (segment.classList.contains("wrong")) wrong += 1; else found += 1;
      rows = Math.max(rows, 1 + Number(segment.dataset.row));
    }
    track.style.setProperty("--rows", rows);
    track.parentElement.querySelector("small").textContent =
      `${found} of ${track.dataset.truth} found, ${wrong} wrong`;
  }
  for (const track of document.querySelectorAll(".track[data-counts]")) filterOwn(track, minScore);
  fitVisible();
}

// A lane of predictions alone: how many there are at this score, drawn or not.
function filterOwn(track, minScore) {
  let drawn = 0, rows = 1;
  for (const segment of track.querySelectorAll(".seg")) {
    segment.hidden = Number(segment.dataset.score) < minScore;
    if (segment.hidden) continue;
    drawn += 1;
    rows = Math.max(rows, 1 + Number(segment.dataset.row));
  }
  track.style.setProperty("--rows", rows);
  const number = Number(track.dataset.counts.split(" ")[Math.round(minScore / 0.05) - 1]), best = track.dataset.best;
  const none = best ? `none; the best score is ${best}` : "none";
  track.parentElement.querySelector("small").textContent = number === 0 ? none
    : `${number} segment${number === 1 ? "" : "s"}${drawn < number ? `, the ${drawn} strongest drawn` : ""}`;
}

document.querySelectorAll(".video").forEach((box) => { setUp(box); watcher.observe(box); });
const slider = document.querySelector("#min-score");
if (slider) {
  const shown = document.querySelector("#min-score-shown");
  const update = () => { shown.textContent = Number(slider.value).toFixed(2); filter(Number(slider.value)); };
  slider.addEventListener("input", update);
  update();
}
addEventListener("resize", fitVisible);
