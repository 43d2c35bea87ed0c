// One tab of a browser at a time. Browsers lend locks to pages of https and of their own machine only;
// elsewhere tabs take turns by a note in localStorage. It holds no secret: who, and until when.

const NAME = "vibebox-token";
// A tab writes its name where it sees none, and has the turn if the name is there still when every
// other tab must have seen it (Fischer's algorithm). Browsers may take a moment to share a note.
const SETTLE_MILLISECONDS = 150;
// A tab that dies with the turn holds up the others for so long; one that is left, for the rest of
// its request only.
const LONGEST_MILLISECONDS = 20000;
const PARTING_MILLISECONDS = 1000;

const me = `${Math.random()}`;
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function holder() {
  const [name, until] = (localStorage.getItem(NAME) ?? "").split(" ");
  return Number(until) > Date.now() ? name : "";
}

const note = (milliseconds) => localStorage.setItem(NAME, `${me} ${Date.now() + milliseconds}`);

async function take() {
  for (;;) {
    if (!holder()) {
      note(LONGEST_MILLISECONDS);
      await sleep(SETTLE_MILLISECONDS);
      if (holder() === me) return;
    } else {
      await sleep(SETTLE_MILLISECONDS * Math.random());
    }
  }
}

async function inTurn(work) {
  await take();
  const part = () => note(PARTING_MILLISECONDS);
  addEventListener("pagehide", part);
  try {
    return await work();
  } finally {
    removeEventListener("pagehide", part);
    if (holder() === me) localStorage.removeItem(NAME);
  }
}

function canNote() {
  try {
    return Boolean(localStorage);
  } catch {
    return false; // the user forbids it
  }
}

/** Do `work` while no other tab does its own. */
export function alone(work) {
  if (navigator.locks) return navigator.locks.request(NAME, work);
  return canNote() ? inTurn(work) : work();
}
