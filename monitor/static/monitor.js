// The monitor in the browser: applies what the server says has changed, opens orders as dialogs, listens to keys.
// Everything is drawn by the server; without this file pages are true when they are loaded, and links are pages.

const body = document.body;
const STALE_AFTER_MS = 12_000;

// --- live: one stream a page -----------------------------------------------------------------------------------

const live = {
  source: null,
  version: body.dataset.version,
  paused: false,
  lastHeard: Date.now(),
  heldBack: new Map(), // list -> its order, while the reader's hand is on it

  open() {
    if (!body.dataset.stream || this.source || this.paused || document.hidden) return;
    const mark = body.dataset.stream.includes("?") ? "&" : "?";
    this.source = new EventSource(`${body.dataset.stream}${mark}_since=${encodeURIComponent(this.version)}`);
    this.source.addEventListener("patch", (event) => {
      this.version = event.lastEventId;
      this.heard();
      apply(JSON.parse(event.data));
    });
    this.source.addEventListener("beat", () => this.heard());
    this.source.addEventListener("stale", (event) => this.tell("stale", JSON.parse(event.data).why));
    this.source.addEventListener("ended", () => location.reload());
    this.source.addEventListener("error", () => {
      if (this.source?.readyState !== EventSource.CLOSED) return;
      this.close(); // refused: the browser does not try again by itself
      this.tell("stale", "the monitor refused the stream");
      setTimeout(() => this.returnOrOpen(), 3000);
    });
  },
  async returnOrOpen() {
    const answer = await fetch(location.href, { method: "HEAD", redirect: "manual" }).catch(() => null);
    if (answer?.type === "opaqueredirect") return location.reload(); // to the login
    this.open();
  },
  close() {
    this.source?.close();
    this.source = null;
  },
  heard() {
    this.lastHeard = Date.now();
    this.tell("live");
  },
  tell(state, why = "") {
    const label = document.getElementById("state");
    if (!label) return;
    const since = new Date(this.lastHeard).toLocaleTimeString();
    const words = { live: "Live", paused: `Paused at ${since}`, stale: `Stale since ${since}` }[state];
    if (label.dataset.state === state && label.title === why) return;
    label.dataset.state = state;
    label.title = why;
    document.getElementById("state-words").textContent = words;
  },
  pause(paused) {
    this.paused = paused;
    document.getElementById("pause")?.setAttribute("aria-pressed", String(paused));
    if (paused) {
      this.close();
      this.tell("paused");
    } else {
      this.open();
    }
  },
};

export function apply({ set = {}, rows = {}, title = "" }) {
  if (title) document.title = `${title} · Trunkline`;
  const drawn = new Map();
  for (const [name, html] of Object.entries(set)) {
    const fresh = elementOf(html);
    drawn.set(name, fresh);
    const old = document.getElementById(name);
    if (old && old.dataset.v !== fresh.dataset.v) exchange(old, fresh);
  }
  for (const [list, names] of Object.entries(rows)) {
    const box = document.querySelector(`[data-rows="${CSS.escape(list)}"]`);
    if (!box) continue;
    for (const name of names) if (drawn.has(name)) pending.set(name, drawn.get(name));
    if (isInUse(box)) holdBack(list, box, names);
    else arrange(list, box, names);
  }
  dress(document);
}

const pending = new Map(); // name -> element that is to enter a list

function elementOf(html) {
  const template = document.createElement("template");
  template.innerHTML = html; // drawn by our server, which escapes what jobs say
  return template.content.firstElementChild;
}

function exchange(old, fresh) {
  const focused = old.contains(document.activeElement) ? pathTo(document.activeElement, old) : null;
  const open = [...old.querySelectorAll("details[open]")].map((one) => pathTo(one, old));
  if (old.matches("details[open]")) fresh.setAttribute("open", "");
  for (const box of old.querySelectorAll("input[type=checkbox]:checked")) {
    const twin = at(fresh, pathTo(box, old));
    if (twin?.type === "checkbox") twin.checked = true;
  }
  const focusedRow = old.classList.contains("at");
  old.replaceWith(fresh);
  if (focusedRow) fresh.classList.add("at");
  for (const path of open) at(fresh, path)?.setAttribute("open", "");
  if (focused) at(fresh, focused)?.focus({ preventScroll: true });
}

function pathTo(node, root) {
  const path = [];
  for (let one = node; one !== root; one = one.parentElement) path.unshift([...one.parentElement.children].indexOf(one));
  return path;
}

function at(root, path) {
  return path.reduce((node, index) => node?.children[index], root);
}

// A list does not move under the hand: while the pointer or the focus is in it, or rows are selected, only what is
// inside of its rows changes.
const hands = new WeakMap();

function isInUse(box) {
  return (
    Date.now() - (hands.get(box) ?? 0) < 8000 || box.contains(document.activeElement) || box.querySelector("input:checked") !== null
  );
}

function holdBack(list, box, names) {
  const shown = [...box.children].map((row) => row.id).filter(Boolean);
  live.heldBack.set(list, names);
  const news = names.filter((name) => !shown.includes(name)).length;
  for (const row of box.children) row.classList.toggle("gone", Boolean(row.id) && !names.includes(row.id));
  const pill = document.querySelector(`[data-news="${CSS.escape(list)}"]`);
  if (!pill) return;
  pill.hidden = news === 0;
  pill.textContent = `${news} new: show`;
}

function arrange(list, box, names) {
  live.heldBack.delete(list);
  const wanted = new Set(names);
  for (const row of [...box.children]) if (row.id && !wanted.has(row.id)) row.remove();
  let place = [...box.children].find((row) => row.id) ?? null;
  for (const name of names) {
    const row = document.getElementById(name) ?? pending.get(name);
    pending.delete(name);
    if (!row) continue;
    row.classList.remove("gone");
    if (row === place) place = place.nextElementSibling;
    else box.insertBefore(row, place);
  }
  const pill = document.querySelector(`[data-news="${CSS.escape(list)}"]`);
  if (pill) pill.hidden = true;
  const empty = document.querySelector(`[data-empty="${CSS.escape(list)}"]`);
  if (empty) empty.hidden = names.length > 0;
}

function release(force = false) {
  for (const [list, names] of live.heldBack) {
    const box = document.querySelector(`[data-rows="${CSS.escape(list)}"]`);
    if (box && (force || !isInUse(box))) {
      arrange(list, box, names);
      dress(box);
    }
  }
}

// --- words that change with the clock --------------------------------------------------------------------------

function length(seconds) {
  if (seconds < 1) return "0 s";
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  return `${Math.floor(seconds)} s`;
}

function dress(root) {
  for (const time of root.querySelectorAll("time[data-age]")) {
    const past = (Date.now() - Date.parse(time.dateTime)) / 1000;
    time.textContent = past >= 1 ? `${length(past)} ago` : past > -1 ? "now" : `in ${length(-past)}`;
  }
  for (const time of root.querySelectorAll("time[data-since]")) {
    time.textContent = length(Math.max((Date.now() - Date.parse(time.dateTime)) / 1000, 0));
  }
}

// --- orders: links that open a form as a dialog ------------------------------------------------------------------

const dialog = document.getElementById("dialog");

async function openOrder(address) {
  const answer = await fetch(address, { headers: { "X-Part": "dialog" } }).catch(() => null);
  if (!answer || answer.redirected) return void location.assign(address);
  dialog.innerHTML = await answer.text();
  if (!dialog.open) dialog.showModal();
  dialog.querySelector("[autofocus], input:not([type=hidden]), button")?.focus();
}

async function send(form) {
  const fault = form.querySelector("[data-fault]");
  const buttons = form.querySelectorAll("button");
  buttons.forEach((button) => (button.disabled = true));
  const fields = new URLSearchParams(new FormData(form));
  let answer;
  do {
    answer = await fetch(form.action, { method: "POST", body: fields, headers: { Accept: "application/json" } })
      .then((response) => response.json())
      .catch(() => ({ ok: false, said: "the monitor does not answer" }));
    for (const [name, value] of Object.entries(answer.again ?? {})) fields.set(name, value);
    if (Object.keys(answer.again ?? {}).length) say(answer.said);
  } while (answer.ok && Object.keys(answer.again ?? {}).length && dialog.open);
  buttons.forEach((button) => (button.disabled = false));
  if (!answer.ok) {
    fault.textContent = answer.said;
    fault.hidden = false;
    return;
  }
  dialog.close();
  document.querySelectorAll("input[data-select]:checked").forEach((box) => (box.checked = false));
  selected();
  say(answer.said);
  if (answer.go) setTimeout(() => location.assign(answer.go), 600);
}

function say(words) {
  const toast = document.getElementById("toast");
  toast.textContent = words;
  toast.classList.add("shown");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => toast.classList.remove("shown"), 6000);
}

let previewing = 0;

async function preview(form) {
  const turn = ++previewing;
  await new Promise((done) => setTimeout(done, 250));
  if (turn !== previewing) return;
  const fields = new URLSearchParams(new FormData(form));
  fields.delete("csrf");
  const answer = await fetch(`${form.getAttribute("action")}?${fields}`, { headers: { "X-Part": "dialog" } }).catch(() => null);
  if (!answer || turn !== previewing) return;
  const part = document.createElement("template");
  part.innerHTML = await answer.text();
  const fault = form.querySelector("[data-fault]");
  fault.hidden = answer.ok;
  if (!answer.ok) fault.textContent = part.content.querySelector(".fault")?.textContent ?? "this cannot be previewed";
  else form.querySelector(".preview").replaceWith(part.content.querySelector(".preview"));
}

// --- selection and keyboard --------------------------------------------------------------------------------------

function selected() {
  const chosen = [...document.querySelectorAll("input[data-select]:checked")].map((box) => box.value);
  for (const bar of document.querySelectorAll("[data-selection]")) {
    bar.hidden = chosen.length === 0;
    const count = bar.querySelector("[data-count]");
    if (count) count.textContent = chosen.length;
    for (const link of bar.querySelectorAll("a[data-order]")) {
      link.dataset.base ??= link.getAttribute("href");
      link.href = `${link.dataset.base}?${new URLSearchParams(chosen.map((id) => ["id", id]))}`;
    }
  }
}

const rows = () => [...document.querySelectorAll("[data-rows] > [data-href]:not(.gone)")];

function step(by) {
  const all = rows();
  if (!all.length) return;
  const here = all.findIndex((row) => row.classList.contains("at"));
  const next = all[Math.max(0, Math.min(all.length - 1, here < 0 ? 0 : here + by))];
  all[here]?.classList.remove("at");
  next.classList.add("at");
  (next.querySelector("a[href]") ?? next).focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

const here = () => document.querySelector("[data-rows] > .at");

const keys = {
  "/": () => document.querySelector("[data-filter]")?.focus(),
  j: () => step(1),
  k: () => step(-1),
  x: () => here()?.querySelector("input[data-select]")?.click(),
  p: () => document.getElementById("pause")?.click(),
  u: () => release(true),
  "?": () => document.getElementById("help").showModal(),
  r: () => order("retry"),
  c: () => order("cancel"),
  Enter: () => {
    if (document.activeElement?.closest("a, button, summary, input")) return false;
    const row = here();
    if (row) location.assign(row.dataset.href);
    return Boolean(row);
  },
};

function order(what) {
  const bar = document.querySelector("[data-selection]:not([hidden])");
  const from = bar ?? here() ?? document;
  const link = from.querySelector(`a[data-order="${what}"]`);
  if (link && !body.classList.contains("may-only-read")) openOrder(link.href);
}

let leader = 0;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && event.target.matches("input, textarea")) return event.target.blur();
  if (event.target.matches("input:not([type=checkbox]), textarea, select") || document.querySelector("dialog[open]")) return;
  if (Date.now() - leader < 1500) {
    leader = 0;
    const link = document.querySelector(`nav a[data-letter="${CSS.escape(event.key)}"]`);
    if (link) return event.preventDefault(), link.click();
  }
  if (event.key === "g") return void (leader = Date.now());
  if (keys[event.key] && keys[event.key]() !== false) event.preventDefault();
});

// --- hands -------------------------------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  const link = event.target.closest("a, button");
  const plain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.button);
  if (link?.matches("a[data-order]") && plain) {
    event.preventDefault();
    openOrder(link.href);
  } else if (link?.matches("[data-close]") && dialog.open) {
    event.preventDefault();
    dialog.close();
  } else if (link?.matches("[data-news]")) {
    release(true);
  } else if (link?.matches("[data-copy]")) {
    navigator.clipboard?.writeText(document.getElementById(link.dataset.copy).textContent).then(() => say("Copied"), () => say("This browser does not let us copy"));
  } else if (link?.id === "pause") {
    live.pause(!live.paused);
  } else if (link?.id === "help-button") {
    document.getElementById("help").showModal();
  } else if (!event.target.closest("a, button, input, label, summary, details") && plain) {
    const row = event.target.closest("[data-rows] > [data-href]");
    if (row && !String(getSelection())) location.assign(row.dataset.href);
  }
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("form.order") && dialog.contains(form)) {
    event.preventDefault();
    send(form);
  } else if (form.method === "get") {
    for (const input of form.elements) if (input.name && input.value === "") input.disabled = true; // short addresses
  }
});

document.addEventListener("change", (event) => {
  if (event.target.matches("input[data-select]")) selected();
  if (event.target.matches("input[data-select-all]")) {
    for (const box of document.querySelectorAll("input[data-select]")) box.checked = event.target.checked;
    selected();
  }
  if (event.target.matches("select[data-submits]")) event.target.form.requestSubmit();
});
document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-previews]");
  if (form) preview(form);
});
for (const name of ["pointermove", "pointerdown", "wheel"]) {
  document.addEventListener(name, (event) => {
    const box = event.target.closest?.("[data-rows]");
    if (box) hands.set(box, Date.now());
  }, { passive: true });
}
document.addEventListener("pointerover", (event) => {
  if (event.target.closest?.("[data-rows]")) return;
  document.querySelectorAll("[data-rows]").forEach((box) => hands.delete(box));
  release();
}, { passive: true });

document.addEventListener("visibilitychange", () => (document.hidden ? live.close() : live.open()));
window.addEventListener("pageshow", (event) => {
  for (const input of document.querySelectorAll("form[method=get] [disabled]")) input.disabled = false;
  if (event.persisted) live.open();
});
window.addEventListener("pagehide", () => live.close());

setInterval(() => {
  dress(document);
  release();
  if (!live.paused && !document.hidden && Date.now() - live.lastHeard > STALE_AFTER_MS) live.tell("stale", "nothing was heard from the monitor");
}, 1000);

dress(document);
live.open();
