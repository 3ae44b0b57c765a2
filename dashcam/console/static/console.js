// What pages do beyond links and forms. Every page works without this file, but for the live log.
const each = (selector, work, within = document) => within.querySelectorAll(selector).forEach(work);

function themeToggle() {
  each("[data-theme-toggle]", (button) =>
    button.addEventListener("click", () => {
      const root = document.documentElement;
      const dark = root.dataset.theme
        ? root.dataset.theme === "dark"
        : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      try {
        localStorage.setItem("dashcam-theme", root.dataset.theme);
      } catch {
        // Forbidden storage: the choice holds for this page only.
      }
    }),
  );
}

function customWindow() {
  each("select[data-window]", (select) => {
    const fields = select.form.querySelector("[data-custom-window]");
    const show = () => {
      fields.hidden = select.value !== "custom";
      each("input", (input) => (input.disabled = fields.hidden), fields);
    };
    select.addEventListener("change", show);
    show();
  });
}

// Rows below a folded one are hidden; a row stays hidden while any row above it is folded.
function folding() {
  each("[data-waterfall]", (waterfall) => {
    const rows = [...waterfall.querySelectorAll(".wf-row")];
    const draw = () => {
      let foldedAt = Infinity;
      for (const row of rows) {
        const depth = Number(row.dataset.depth);
        if (depth <= foldedAt) foldedAt = Infinity;
        row.hidden = depth > foldedAt;
        const fold = row.querySelector("[data-fold]");
        if (!row.hidden && fold?.getAttribute("aria-expanded") === "false") foldedAt = depth;
      }
    };
    const setAll = (expanded, from = 0) => {
      each("[data-fold]", (fold) => {
        const open = expanded || Number(fold.closest(".wf-row").dataset.depth) < from;
        fold.setAttribute("aria-expanded", String(open));
      }, waterfall);
      draw();
    };
    waterfall.addEventListener("click", (event) => {
      const fold = event.target.closest("[data-fold]");
      if (!fold) return;
      fold.setAttribute("aria-expanded", String(fold.getAttribute("aria-expanded") !== "true"));
      draw();
    });
    waterfall.querySelector("[data-expand-all]")?.addEventListener("click", () => setAll(true));
    waterfall.querySelector("[data-collapse-all]")?.addEventListener("click", () => setAll(false, 1));
    waterfall.querySelector("[data-lines]")?.addEventListener("change", (event) => {
      waterfall.classList.toggle("hide-lines", !event.target.checked);
    });
  });
}

// Details of a span in a long trace come when it is opened.
function lazyDetails() {
  each("details[data-load]", (details) =>
    details.addEventListener("toggle", async () => {
      if (!details.open || !details.dataset.load) return;
      const address = details.dataset.load;
      delete details.dataset.load;
      const place = details.querySelector(".loading");
      try {
        const answer = await fetch(address, { headers: { "X-Requested-With": "console" } });
        if (!answer.ok) throw new Error(`the console answered ${answer.status}`);
        const part = new DOMParser().parseFromString(await answer.text(), "text/html");
        place.replaceWith(...part.body.childNodes);
        narrow(details);
      } catch (error) {
        details.dataset.load = address;
        place.append(` (${error.message})`);
      }
    }),
  );
}

// A link to a span opens it.
function openTarget() {
  if (!location.hash.startsWith("#span-")) return;
  const target = document.getElementById(location.hash.slice(1));
  const details = target?.querySelector("details.wf-span");
  if (details) {
    details.open = true;
    target.scrollIntoView({ block: "start" });
  }
}

// A form leaves out what was not filled in, so that its address stays short.
function shortAddresses() {
  each("form[method=get]", (form) =>
    form.addEventListener("submit", () => {
      const unused = [...form.elements].filter((field) => field.name && field.value === "" && !field.disabled);
      unused.forEach((field) => (field.disabled = true));
      setTimeout(() => unused.forEach((field) => (field.disabled = false)), 500);
    }),
  );
}

// The operations offered follow the service that is chosen.
function operationsOfService() {
  each("select[data-operations]", (select) =>
    select.addEventListener("change", async () => {
      const offered = select.form.elements.operation;
      offered.length = 1;
      const address = new URL(select.dataset.operations, location.href);
      address.searchParams.set("service", select.value);
      try {
        const answer = await fetch(address);
        const { operations } = answer.ok ? await answer.json() : { operations: [] };
        operations.forEach((name) => offered.add(new Option(name)));
      } catch {
        // The search works without the list; the page says what is away once it is sent.
      }
    }),
  );
}

// New lines are put on top while the button is pressed. Each poll asks for what came since the last one. A
// store that cannot tell gives the last minute again; lines that are shown are known by their keys.
const PAUSE = 1500;
const MOST_SHOWN = 2000;
const KEYS_KEPT = 5000;

function liveLog() {
  each("[data-live]", (button) => {
    const lines = document.querySelector("[data-live-lines]");
    const status = document.querySelector("[data-live-status]");
    const shown = new Set();
    let place = button.dataset.livePlace;
    let came = 0;
    let leftOut = 0;
    let timer = 0;

    const show = (part) => {
      const fresh = [...part.body.children].filter((row) => !shown.has(row.dataset.key));
      for (const row of fresh.reverse()) {
        shown.add(row.dataset.key);
        row.classList.add("fresh");
        lines.prepend(row);
      }
      for (const key of [...shown].slice(0, Math.max(0, shown.size - KEYS_KEPT))) shown.delete(key);
      while (lines.children.length > MOST_SHOWN) lines.lastElementChild.remove();
      if (fresh.length) document.querySelector(".empty")?.remove();
      came += fresh.length;
    };

    const poll = async () => {
      const address = new URL(button.dataset.live, location.href);
      address.searchParams.set("place", place);
      try {
        const answer = await fetch(address, { headers: { "X-Requested-With": "console" } });
        if (!answer.ok) throw new Error(`the console answered ${answer.status}`);
        show(new DOMParser().parseFromString(await answer.text(), "text/html"));
        place = answer.headers.get("X-Place") || place;
        leftOut += Number(answer.headers.get("X-Left-Out") || 0);
        status.textContent =
          `Following: ${came} new line${came === 1 ? "" : "s"}` +
          (leftOut ? `, and ${leftOut} more that came too quickly to show.` : ".");
      } catch (error) {
        status.textContent = `Following, but ${error.message}; trying again.`;
      }
      if (button.getAttribute("aria-pressed") === "true") timer = setTimeout(poll, PAUSE);
    };

    button.addEventListener("click", () => {
      const pressed = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(pressed));
      button.textContent = pressed ? "Stop following" : "Follow live";
      clearTimeout(timer);
      if (pressed) poll();
      else status.textContent = "Stopped.";
    });
  });
}

// Enter runs a query; Shift and Enter begins a new line.
function submitOnEnter() {
  each("[data-submit-on-enter]", (field) =>
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey) return;
      event.preventDefault();
      field.form.requestSubmit();
    }),
  );
}

// A field of an opened line or span narrows the search to what has the same.
function quoted(text) {
  return /^[^\s"'\\]+$/.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
}

function narrow(details) {
  const holder = details.open && details.querySelector("[data-narrow]");
  if (!holder || holder.dataset.narrowed) return;
  holder.dataset.narrowed = "yes";
  each(".attributes > div", (row) => {
    const [name, value] = [row.querySelector("dt").textContent, row.querySelector("dd").textContent];
    if (value.length > 300 || "cut" in row.querySelector("dd").dataset) return;
    const address = new URL(holder.dataset.narrow, location.href);
    address.searchParams.set(holder.dataset.narrowBy, `${name}=${quoted(value)}`);
    const link = document.createElement("a");
    link.href = address;
    link.className = "narrow";
    link.textContent = "find";
    link.setAttribute("aria-label", `Find all with ${name} = ${value}`);
    row.querySelector("dd").append(" ", link);
  }, holder);
}

function narrowing() {
  // A toggle does not bubble; it is caught on its way down.
  document.addEventListener("toggle", (event) => narrow(event.target), true);
}

themeToggle();
narrowing();
liveLog();
submitOnEnter();
customWindow();
folding();
lazyDetails();
openTarget();
shortAddresses();
operationsOfService();
addEventListener("hashchange", openTarget);
