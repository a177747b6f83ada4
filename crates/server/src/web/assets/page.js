// What htmx does not do by itself.

// A form that is on its way is not sent a second time.
document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) {
    event.preventDefault();
    return;
  }
  event.target.dataset.sent = "yes";
  event.target.setAttribute("aria-busy", "true");
});

// The page can be looked at again with the Back button: then its forms are new.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    form.removeAttribute("aria-busy");
  }
});
document.addEventListener("htmx:afterRequest", (event) => {
  delete event.target.dataset.sent;
  event.target.removeAttribute("aria-busy");
});

// An error answer of a part of a page is shown in its place.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status >= 400) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});

// What only works with this script is shown by it.
function prepare(root) {
  for (const element of root.querySelectorAll("[data-needs-script]")) element.hidden = false;
}
prepare(document);
document.addEventListener("htmx:load", (event) => prepare(event.target));

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.parentElement.querySelector("pre").textContent);
  button.textContent = button.dataset.copied;
});

// A file is read into a field of the form, where it can be seen before it is sent.
document.addEventListener("change", async (event) => {
  const into = event.target.dataset.readsInto;
  const file = event.target.files?.[0];
  if (!into || !file) return;
  document.getElementById(into).value = await file.text();
});
