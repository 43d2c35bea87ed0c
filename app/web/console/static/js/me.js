// Who is signed in, and what they may do whatever it is about.

import { api } from "./access.js";

let asked = null;

/** Return the account that is signed in; it is asked for once. */
export function me() {
  asked ??= api("GET", "/auth/me").catch((error) => {
    asked = null;
    throw error;
  });
  return asked;
}

export const forgetMe = () => {
  asked = null;
};
