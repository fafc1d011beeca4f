// Keeps a page as the service would render it now: parts of the page are fetched anew when there is something new.
// Without JavaScript all pages work; they are reloaded instead.
"use strict";

const main = document.getElementById("content");
const connection = document.querySelector("[data-connection]");

/** Tells whether the page is up to date. */
function tell(text) {
  if (connection.textContent !== text) connection.textContent = text;
}

/** Whether somebody is at work in an element, which must then not change under their hands. */
function inUse(element) {
  const active = document.activeElement;
  if (active && active !== document.body && element.contains(active) && active.matches("input, select, textarea")) return true;
  return [...element.querySelectorAll("input[type=checkbox]")].some((box) => box.checked !== box.defaultChecked);
}

/** How to find an element again in a newer version of its part. */
function placeOf(element, part) {
  const path = [];
  for (let at = element; at && at !== part; at = at.parentElement) {
    path.unshift([...at.parentElement.children].indexOf(at));
  }
  return path;
}

/** Puts a newer version of a part in place; what had the focus and where it was scrolled to stay. */
function replace(part, newer) {
  if (part.isEqualNode(newer) || inUse(part)) return;
  const active = document.activeElement;
  const place = part.contains(active) && active !== part ? placeOf(active, part) : null;
  const boxes = [...part.querySelectorAll(".scroll, .canvas")].map((box) => [box.scrollLeft, box.scrollTop, box.dataset.scale]);
  part.replaceChildren(...newer.childNodes);
  part.querySelectorAll(".scroll, .canvas").forEach((box, index) => {
    const [left, top, scale] = boxes[index] || [];
    if (scale) box.dataset.scale = scale;
    if (box.dataset.zoom !== undefined) addZoom(box);
    box.scrollTo(left || 0, top || 0);
  });
  if (place) {
    let found = part;
    for (const index of place) found = found && found.children[index];
    if (found && found.focus) found.focus({ preventScroll: true });
  }
}

/** Fetches this page and puts its parts in place; returns whether it is still a live one. */
async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error", cache: "no-store" });
  if (!answer.ok) throw new Error(answer.statusText);
  const newer = new DOMParser().parseFromString(await answer.text(), "text/html");
  let before = null;
  for (const part of newer.querySelectorAll("[data-part]")) {
    const here = document.getElementById(part.id);
    if (here) {
      replace(here, part);
    } else if (before) {
      before.after(part);
      part.querySelectorAll("[data-zoom]").forEach(addZoom);
    }
    before = document.getElementById(part.id);
  }
  document.title = newer.title;
  const fresh = newer.getElementById("content");
  return Boolean(fresh && (fresh.dataset.changes || fresh.dataset.refresh));
}

let underWay = false;
let again = false;

/** Refreshes once for any number of changes that come meanwhile, and never takes more than a tenth of the time. */
async function refreshSoon() {
  if (underWay) {
    again = true;
    return;
  }
  underWay = true;
  const begin = performance.now();
  let rest = 0;
  try {
    await refresh();
    tell("");
  } catch {
    tell("The service does not answer; trying again.");
    again = true;
    rest = 2000;
  }
  rest = Math.max(rest, Math.min(9 * (performance.now() - begin), 10000));
  await new Promise((done) => setTimeout(done, rest));
  underWay = false;
  if (again) {
    again = false;
    refreshSoon();
  }
}

/** Follows a stream of the service, which browsers take up again by themselves. */
function follow(address, onMessage, onEnd) {
  const source = new EventSource(address);
  source.onmessage = (event) => {
    tell("");
    onMessage(JSON.parse(event.data));
  };
  source.addEventListener("end", () => {
    source.close();
    tell("");
    onEnd();
  });
  source.onerror = () => {
    tell("The connection broke off; trying again.");
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  };
}

/** Lets a drawing be made larger and smaller. */
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
  const whole = () => Math.min(1, drawing.clientWidth / width, 560 / height);
  const now = () => Number(drawing.dataset.scale || 1);
  for (const [text, name, next] of [
    ["+", "Larger", () => Math.min(4, now() * 1.25)],
    ["−", "Smaller", () => Math.max(0.05, now() / 1.25)],
    ["1:1", "Actual size", () => 1],
    ["Whole", "Show all of it", whole],
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

// A form that was sent is not sent again by a second click.
document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) event.preventDefault();
  else if (event.target.method === "post") event.target.dataset.sent = "1";
});
window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});
