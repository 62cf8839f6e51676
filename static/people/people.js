// Passkeys: the browser asks the device, and the form carries its answer. No inline scripts: the content security policy forbids them.

document.addEventListener("DOMContentLoaded", () => {
  const supported = window.PublicKeyCredential !== undefined && window.webauthnJSON !== undefined;
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (supported) form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = form.querySelector("button[type=submit]");
      const trouble = form.querySelector("[data-passkey-trouble]");
      trouble.hidden = true;
      button.disabled = true;
      try {
        form.elements.credential.value = JSON.stringify(await answer(form));
        form.submit(); // does not come through here again
      } catch {
        trouble.textContent = trouble.dataset.passkeyTrouble;
        trouble.hidden = false;
        button.disabled = false;
        button.focus();
      }
    });
  }
});

// What the device says to the challenge of this page, or, before anybody is known, to one that is fetched for it.
async function answer(form) {
  switch (form.dataset.passkey) {
    case "sign-in": {
      const response = await fetch(form.action, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error("no challenge");
      return webauthnJSON.get((await response.json()).request_options);
    }
    case "use":
      return webauthnJSON.get(options(form).request_options);
    default: {
      const creation = options(form).creation_options;
      const alone = form.elements.passwordless?.checked === true;
      const selection = creation.publicKey.authenticatorSelection;
      selection.residentKey = alone ? "required" : "discouraged";
      selection.requireResidentKey = alone;
      if (alone) selection.userVerification = "required";
      return webauthnJSON.create(creation);
    }
  }
}

function options(form) {
  return JSON.parse(document.getElementById(form.dataset.options).textContent);
}
