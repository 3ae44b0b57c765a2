// A quote without leaving the page. Where this does not run, or anything is wrong, the form does the same by itself.
const section = document.getElementById("quote");

section.addEventListener("submit", async (event) => {
  event.preventDefault();
  const address = new URL(event.target.action);
  address.search = new URLSearchParams(new FormData(event.target));
  const answer = await fetch(address, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok) return location.assign(address);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  section.replaceChildren(...page.getElementById("quote").childNodes);
  document.querySelector(".own-trace")?.replaceWith(page.querySelector(".own-trace") ?? "");
  history.replaceState(null, "", address);
  section.querySelector("input").focus();
});
