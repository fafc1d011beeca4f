// Keeps a page up to date: when something has changed, fetches the page again and replaces its parts ([data-part]).
// Without JavaScript, all pages work and reload themselves instead.
"use strict";

const main = document.getElementById("content");
const connection = document.querySelector("[data-connection]");

/** Shows the state of the connection in the footer. */
function showConnection(text) {
  if (connection.textContent !== text) connection.textContent = text;
}

/** Returns true if the user is editing a form field in an element; it must not be replaced then. */
function inUse(element) {
  const active = document.activeElement;
  if (active && active !== document.body && element.contains(active) && active.matches("input, select, textarea")) return true;
  return [...element.querySelectorAll("input[type=checkbox]")].some((box) => box.checked !== box.defaultChecked);
}

/** Returns the path of child indexes from a part to an element, to find it again in a newer version of the part. */
function pathOf(element, part) {
  const path = [];
  for (let at = element; at && at !== part; at = at.parentElement) {
    path.unshift([...at.parentElement.children].indexOf(at));
  }
  return path;
}

/** Replaces a part by a newer version. Keeps the focus, scroll positions and zoom. */
function replace(part, newer) {
  if (part.isEqualNode(newer) || inUse(part)) return;
  const active = document.activeElement;
  const path = part.contains(active) && active !== part ? pathOf(active, part) : null;
  const boxes = [...part.querySelectorAll(".scroll, .canvas")].map((box) => [box.scrollLeft, box.scrollTop, box.dataset.scale]);
  part.replaceChildren(...newer.childNodes);
  part.querySelectorAll(".scroll, .canvas").forEach((box, index) => {
    const [left, top, scale] = boxes[index] || [];
    if (scale) box.dataset.scale = scale;
    if (box.dataset.zoom !== undefined) addZoom(box);
    box.scrollTo(left || 0, top || 0);
  });
  if (path) {
    let target = part;
    for (const index of path) target = target && target.children[index];
    if (target && target.focus) target.focus({ preventScroll: true });
  }
}

/** Fetches this page and replaces its parts. Parts that are new are inserted. */
async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error", cache: "no-store" });
  if (!answer.ok) throw new Error(answer.statusText);
  const newer = new DOMParser().parseFromString(await answer.text(), "text/html");
  let previous = null;
  for (const part of newer.querySelectorAll("[data-part]")) {
    const current = document.getElementById(part.id);
    if (current) {
      replace(current, part);
    } else if (previous) {
      previous.after(part);
      part.querySelectorAll("[data-zoom]").forEach(addZoom);
    }
    previous = document.getElementById(part.id);
  }
  document.title = newer.title;
}

let refreshing = false;
let pending = false;

/** Refreshes the page. Changes during a refresh are combined into one more refresh. Refreshing takes at most 10 % of the time. */
async function refreshSoon() {
  if (refreshing) {
    pending = true;
    return;
  }
  refreshing = true;
  const start = performance.now();
  let pause = 0;
  try {
    await refresh();
    showConnection("");
  } catch {
    showConnection("The service does not respond. Retrying.");
    pending = true;
    pause = 2000;
  }
  pause = Math.max(pause, Math.min(9 * (performance.now() - start), 10000));
  await new Promise((done) => setTimeout(done, pause));
  refreshing = false;
  if (pending) {
    pending = false;
    refreshSoon();
  }
}

/** Follows an event stream of the service. The browser reconnects by itself. */
function follow(address, onMessage, onEnd) {
  const source = new EventSource(address);
  source.onmessage = (event) => {
    showConnection("");
    onMessage(JSON.parse(event.data));
  };
  source.addEventListener("end", () => {
    source.close();
    showConnection("");
    onEnd();
  });
  source.onerror = () => {
    showConnection("Connection lost. Reconnecting.");
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  };
}

/** Adds zoom buttons to a drawing. */
function addZoom(drawing) {
  const svg = drawing.querySelector("svg");
  if (!svg || drawing.previousElementSibling?.classList.contains("zoom")) return;
  const [width, height] = [Number(svg.getAttribute("width")), Number(svg.getAttribute("height"))];
  if (!width || !height) return;
  const row = document.createElement("div");
  row.className = "zoom row";
  const scaleTo = (scale) => {
    drawing.dataset.scale = String(scale);
    svg.setAttribute("width", String(width * scale));
    svg.setAttribute("height", String(height * scale));
  };
  const fit = () => Math.min(1, drawing.clientWidth / width, 560 / height);
  const current = () => Number(drawing.dataset.scale || 1);
  for (const [text, name, next] of [
    ["+", "Larger", () => Math.min(4, current() * 1.25)],
    ["−", "Smaller", () => Math.max(0.05, current() / 1.25)],
    ["1:1", "Actual size", () => 1],
    ["Fit", "Fit to view", fit],
  ]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.setAttribute("aria-label", name);
    button.addEventListener("click", () => scaleTo(next()));
    row.append(button);
  }
  drawing.before(row);
  if (drawing.dataset.scale) scaleTo(Number(drawing.dataset.scale));
}

document.querySelectorAll("[data-zoom]").forEach(addZoom);

if (main.dataset.changes) follow(main.dataset.changes, refreshSoon, refreshSoon);

if (main.dataset.refresh) {
  setInterval(() => {
    if (!document.hidden) refreshSoon();
  }, 1000 * Number(main.dataset.refresh));
}

const log = document.querySelector("[data-log]");
if (log) {
  log.scrollTop = log.scrollHeight;
  follow(
    log.dataset.log,
    (text) => {
      const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
      log.append(text);
      if (atEnd) log.scrollTop = log.scrollHeight;
    },
    () => {},
  );
}

// Ignore a second click while a form is being sent.
document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) event.preventDefault();
  else if (event.target.method === "post") event.target.dataset.sent = "1";
});
window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

// Buttons that copy a text. They stay hidden without JavaScript, and where a page has no access to the clipboard.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    });
  }
}
