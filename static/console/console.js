// The console's own behaviour. No inline scripts: the content security policy forbids them.

// Copy buttons: <button data-copy="#id"> copies the text of that element.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  const text = source.textContent.trim();
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Plain http on another host, or permission denied: select it, and let the old command copy.
    const range = document.createRange();
    range.selectNodeContents(source);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    document.execCommand("copy");
  }
  const label = button.querySelector("[data-label]") || button;
  const before = label.textContent;
  label.textContent = button.dataset.copied || "Copied";
  button.setAttribute("data-done", "");
  setTimeout(() => {
    label.textContent = before;
    button.removeAttribute("data-done");
  }, 1500);
});

// The theme hides a page until it knows light from dark, and what is hidden cannot take the focus that `autofocus` asks for.
// So it is given here: to the field that was refused, to what asks for it, or to the first field of a page for who is about to sign in.
document.addEventListener("alpine:initialized", () => {
  setTimeout(() => {
    if (document.activeElement !== document.body) return;
    const first = ".tg-outside form[method=post] :is(input, select, textarea):not([type=hidden])";
    for (const wanted of [".login [aria-invalid=true]", ".tg-account [aria-invalid=true]", "[autofocus]", first]) {
      const found = [...document.querySelectorAll(wanted)].find((each) => each.checkVisibility());
      if (found) return found.focus();
    }
  });
});

document.addEventListener("DOMContentLoaded", () => {
  // A page that answered a POST and shows a secret: reloading it must not send the form again and make another.
  const reveal = document.querySelector("[data-replace-url]");
  if (reveal) history.replaceState(null, "", reveal.dataset.replaceUrl);

  // The theme's search has a placeholder and an icon, and no name for who does not see them.
  for (const search of document.querySelectorAll("[role=search]")) {
    const field = search.querySelector("input[placeholder]");
    for (const each of field ? [field, ...search.querySelectorAll("button")] : []) each.setAttribute("aria-label", field.placeholder);
  }

  // Buttons that start something slow say so, and cannot be pressed twice.
  for (const form of document.querySelectorAll("form[data-once]")) {
    form.addEventListener("submit", () => {
      const button = form.querySelector("button[type=submit]");
      button.setAttribute("aria-busy", "true");
      if (button.dataset.busy) button.textContent = button.dataset.busy;
      setTimeout(() => (button.disabled = true));
    });
  }

  // A new credential: the base URL is the chosen provider's, until somebody writes another.
  const baseUrl = document.querySelector("input[data-usual]");
  const provider = document.querySelector("select[name=provider]");
  if (baseUrl && provider) {
    const usual = JSON.parse(baseUrl.dataset.usual);
    const suggest = () => {
      if (!baseUrl.value || Object.values(usual).includes(baseUrl.value)) baseUrl.value = usual[provider.value] || "";
    };
    provider.addEventListener("change", suggest);
    suggest();
  }
});
