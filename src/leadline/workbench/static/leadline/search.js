/* The key / : to the field of search, or to its page where this one has none. Does nothing else, and reads no page. */
"use strict";

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  if (document.getElementById("card")) return; // a review is not left by one key
  const field = document.querySelector("form[role=search] input[type=text]");
  const link = document.querySelector("a[rel=search]");
  if (!field && !link) return;
  event.preventDefault();
  if (field) field.focus();
  else location.assign(link.href);
});
