"use strict";
// Comfort only: the page is complete without it.
const said = document.createElement("p");
said.className = "unseen";
said.setAttribute("role", "status");
(document.querySelector("main") ?? document.body).append(said);

const copy = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A file opened from disk may not have the clipboard; the old way still works there.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
};

for (const block of document.querySelectorAll("pre.copied")) {
  const frame = document.createElement("div");
  const button = document.createElement("button");
  frame.className = "with-copy";
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await copy(block.textContent.replace(/\n+$/, "\n"));
    button.textContent = "Copied";
    button.focus();
    said.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; said.textContent = ""; }, 1500);
  });
  block.replaceWith(frame);
  frame.append(block, button);
}

const reveal = () => {
  let at = document.getElementById(location.hash.slice(1));
  if (!at) return;
  const target = at;
  target.closest("section")?.querySelector(":scope > h2 ~ details")?.setAttribute("open", "");
  for (; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  target.scrollIntoView();
};
addEventListener("hashchange", reveal);
if (location.hash) reveal();

// j and k go from finding to finding, past those that the filter hides.
addEventListener("keydown", (event) => {
  const step = { j: 1, k: -1 }[event.key];
  if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
  const cards = [...document.querySelectorAll("article.card")].filter((each) => each.querySelector("h3").offsetParent);
  const here = cards.findIndex((each) => each.id === location.hash.slice(1));
  const next = cards[Math.max(0, Math.min(cards.length - 1, here < 0 ? 0 : here + step))];
  if (!next) return;
  location.hash = next.id;
  next.tabIndex = -1;
  next.focus({ preventScroll: true });
});

// Browsers that cannot print what is folded by style alone.
const folded = [];
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details:not([open])")) { folded.push(each); each.open = true; }
});
addEventListener("afterprint", () => { while (folded.length) folded.pop().open = false; });
