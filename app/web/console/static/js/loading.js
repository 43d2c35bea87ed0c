// A page of which a script could not be fetched (a laptop that changes its network while it loads)
// looks alive and is dead. It is loaded again, later each time, and says so. No module: those that
// fail cannot tell.

(() => {
  const NAME = "vibebox-loads";
  const MOST = 4;

  function tries() {
    try {
      const count = Number(sessionStorage.getItem(NAME)) + 1;
      sessionStorage.setItem(NAME, `${count}`);
      return count;
    } catch {
      return MOST; // the user forbids it: nothing would end the loading
    }
  }

  function failed(event) {
    if (!(event.target instanceof HTMLScriptElement)) return;
    const count = tries();
    const again = count < MOST;
    const told = document.createElement("p");
    told.textContent = again
      ? "Not all of this page came; it is loaded again."
      : "Not all of this page came. Load it again when the service can be reached.";
    document.querySelector("#trouble").append(told);
    if (again) setTimeout(() => location.reload(), 250 * 2 ** count);
  }

  addEventListener("error", failed, true);
  // Said by main.js, which comes last.
  addEventListener("vibebox-loaded", () => {
    try {
      sessionStorage.removeItem(NAME);
    } catch {
      // There is none.
    }
  });
})();
