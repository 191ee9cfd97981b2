// Asks the browser for a passkey, and hands what it says to the box.
const trouble = document.getElementById("trouble");

async function send(path, body) {
  const answer = await fetch(path, { method: "POST", body, headers: { "Content-Type": "application/json" } });
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
}

async function begin(path) {
  return (await (await send(path)).json()).publicKey;
}

function when(form, act) {
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    trouble.textContent = "";
    try {
      await act();
    } catch (e) {
      trouble.textContent = e.name === "Error" ? e.message : trouble.dataset.failed;
    }
  });
}

const login = document.getElementById("login");
when(login, async () => {
  const options = PublicKeyCredential.parseRequestOptionsFromJSON(await begin("/passkey/ask"));
  const got = await navigator.credentials.get({ publicKey: options });
  await send("/passkey/login", JSON.stringify(got.toJSON()));
  location.assign(login.dataset.to);
});

when(document.getElementById("register"), async () => {
  const options = PublicKeyCredential.parseCreationOptionsFromJSON(await begin("/passkey/register"));
  const made = await navigator.credentials.create({ publicKey: options });
  const name = document.getElementById("name").value;
  await send("/passkey/registered?name=" + encodeURIComponent(name), JSON.stringify(made.toJSON()));
  location.reload();
});
