// Finding spans in a trace while one types: what the server's form does, without loading the page again.
// "/" goes to the field, Enter and Shift+Enter to the next and the previous span, Escape leaves.
const PAUSE = 150;

function finding(form) {
  const field = form.elements.find;
  const status = form.querySelector("[data-find-status]");
  const size = Number(form.dataset.rows);
  let found = [];
  let at = -1;
  let asked = "";
  let answered = Promise.resolve();
  let timer = 0;

  const row = (id) => document.getElementById(`span-${id}`);

  const say = () => {
    if (!field.value.trim()) status.textContent = "";
    else if (!found.length) status.textContent = "No span has that.";
    else status.textContent = at < 0 ? `${found.length} found` : `${at + 1} of ${found.length}`;
  };

  const mark = () => {
    document.querySelectorAll(".wf-row.match").forEach((one) => one.classList.remove("match", "match-here"));
    found.forEach(([id]) => row(id)?.classList.add("match"));
    say();
  };

  // Who asks for the same text again waits for the same answer.
  const look = () => {
    const text = field.value.trim();
    if (text !== asked) {
      asked = text;
      at = -1;
      answered = ask(text);
    }
    return answered;
  };

  const ask = async (text) => {
    const address = new URL(form.dataset.find, location.href);
    address.searchParams.set("find", text);
    try {
      const answer = text ? await fetch(address) : null;
      if (answer && !answer.ok) throw new Error(`the console answered ${answer.status}`);
      const { spans } = answer ? await answer.json() : { spans: [] };
      if (asked !== text) return; // typed on meanwhile
      found = spans;
      mark();
    } catch (error) {
      if (asked !== text) return;
      asked = "";
      status.textContent = error.message;
    }
  };

  const here = (name, value) => {
    const address = new URL(location.href);
    if (value) address.searchParams.set(name, value);
    else address.searchParams.delete(name);
    return address;
  };

  const step = async (by) => {
    clearTimeout(timer);
    await look();
    if (!found.length) return;
    at = at < 0 ? (by > 0 ? 0 : found.length - 1) : (at + by + found.length) % found.length;
    const [id, place] = found[at];
    const target = row(id);
    if (!target) {
      // On another page of a long trace.
      const address = here("find", asked);
      address.searchParams.set("first", Math.floor(place / size) * size);
      address.hash = `span-${id}`;
      location.assign(address);
      return;
    }
    if (target.hidden) document.querySelector("[data-expand-all]")?.click();
    document.querySelector(".match-here")?.classList.remove("match-here");
    target.classList.add("match-here");
    target.scrollIntoView({ block: "center" });
    say();
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    history.replaceState(null, "", here("find", field.value.trim()));
    step(1);
  });
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.shiftKey) {
      event.preventDefault();
      step(-1);
    } else if (event.key === "Escape") {
      field.value = "";
      history.replaceState(null, "", here("find", ""));
      look();
      field.blur();
    }
  });
  form.querySelectorAll("[data-find-step]").forEach((button) =>
    button.addEventListener("click", () => step(Number(button.dataset.findStep))),
  );
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    event.preventDefault();
    field.focus();
    field.select();
  });

  if (field.value.trim()) {
    look().then(() => {
      at = found.findIndex(([id]) => location.hash === `#span-${id}`);
      if (at >= 0) row(found[at][0])?.classList.add("match-here");
      say();
    });
  }
}

document.querySelectorAll("[data-find]").forEach(finding);
