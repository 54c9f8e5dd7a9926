// Signing in: the hub keeps the token in a cookie that no script can read. This module only asks for it and passes it on.

import { setText } from "./format.js";

const $ = (id) => document.getElementById(id);

/** `entered()` is called when the hub has taken a token. */
export class Login {
  constructor(entered) {
    this.entered = entered;
    $("login-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    // There is nothing behind it to go back to.
    $("login").addEventListener("cancel", (event) => event.preventDefault());
    $("logout").addEventListener("click", () => this.#leave());
  }

  get isOpen() {
    return $("login").open;
  }

  /** Whether the hub asks for a token, and whether this page has one: "open", "unknown", or the bearer. */
  async who() {
    try {
      const answer = await fetch("v1/login", { cache: "no-store" });
      if (answer.status === 401) return "unknown";
      const { required, name, token } = await answer.json();
      $("logout").hidden = !required;
      $("logout").title = required ? `Sign out ${name || token}` : "";
      return required ? name || token : "open";
    } catch {
      // The session tells that the hub is not reachable.
      return "open";
    }
  }

  /** Asks. `reason` is what the hub said. */
  ask(reason = "") {
    this.#say(reason);
    if (!this.isOpen) $("login").showModal();
    $("token").focus();
  }

  async #send() {
    const button = $("login-form").querySelector("button");
    button.disabled = true;
    try {
      const answer = await fetch("v1/login", { method: "POST", body: new URLSearchParams({ token: $("token").value }) });
      if (answer.ok) {
        $("token").value = "";
        $("login").close();
        await this.who();
        this.entered();
        return;
      }
      const { error } = await answer.json();
      this.#say(error.message);
      $("token").select();
    } catch {
      this.#say("the hub is not reachable");
    } finally {
      button.disabled = false;
    }
  }

  async #leave() {
    await fetch("v1/logout", { method: "POST" }).catch(() => {});
    location.reload();
  }

  #say(text) {
    setText($("login-error"), text);
    $("login-error").hidden = text === "";
  }
}
