"use strict";
// Everything can be read without this: it adds copying and the keys.
for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.of).innerText;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(document.getElementById(button.dataset.of));
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}
const open = new Map();
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details")) { open.set(each, each.open); each.open = true; }
});
addEventListener("afterprint", () => { for (const [each, was] of open) each.open = was; });
function unfold() {
  const at = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let each = at && at.closest("details"); each; each = each.parentElement.closest("details")) each.open = true;
}
addEventListener("hashchange", unfold);
unfold();
addEventListener("keydown", (event) => {
  const step = { j: 1, k: -1 }[event.key];
  if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
  const cards = [...document.querySelectorAll("article.card")].filter((each) => each.offsetParent);
  const here = cards.findIndex((each) => each.id === location.hash.slice(1));
  const next = cards[Math.max(0, Math.min(cards.length - 1, here < 0 ? 0 : here + step))];
  if (next) { location.hash = next.id; next.focus({ preventScroll: true }); }
});
