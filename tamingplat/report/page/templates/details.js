// Details of a line: a dialog that the address names, so that it can be linked to and the back button closes it.
(() => {
  const table = document.getElementById("results-table");
  const plain = () => window.location.pathname + window.location.search;
  const named = () => document.getElementById(decodeURIComponent(window.location.hash.slice(1)));
  // What opened the dialog, and the state of its entry in the history, which the back button leaves before anything can be asked
  // of it; and where a dialog that was just closed leads back to.
  let opener = null;
  let left = null;
  let returning = null;

  function fill(dialog) {
    // Pictures, settings and packages are in the page once; a dialog takes its own copy when it is opened.
    dialog.querySelectorAll("img[data-from]").forEach((image) => {
      const source = document.getElementById(image.dataset.from);
      if (source && !image.src) image.src = source.src;
    });
    dialog.querySelectorAll("[data-copy]").forEach((target) => {
      const source = document.querySelector(`#${target.dataset.copy} .copied`);
      if (source) target.replaceChildren(source.cloneNode(true));
      target.removeAttribute("data-copy");
    });
  }

  function show(dialog) {
    document.querySelectorAll("dialog[open]").forEach((other) => other !== dialog && other.close());
    if (dialog.open) return;
    fill(dialog);
    dialog.showModal();
    dialog.scrollTop = 0;
    dialog.querySelector("h2").focus({ preventScroll: true });
  }

  function restore({ focus, place }) {
    if (place) window.scrollTo({ left: place[0], top: place[1], behavior: "instant" });
    if (focus) focus.focus({ preventScroll: true });
  }

  // Where a closed dialog leads back to: what opened it or, where an address did, its line in the table.
  function origin(dialog, state) {
    const line = table.querySelector(`tr[data-anchor="${dialog.id}"]:not([hidden]) a`);
    return { focus: opener || line, place: state && state.opened === dialog.id ? state.place : null };
  }

  function follow() {
    const target = named();
    if (target instanceof HTMLDialogElement) {
      left = window.history.state;
      show(target);
      return;
    }
    document.querySelectorAll("dialog[open]").forEach((dialog) => {
      returning = origin(dialog, left);
      dialog.close();
    });
    left = null;
    if (returning) {
      restore(returning);
      returning = null;
      opener = null;
      return;
    }
    // Where an address names something that is folded away, unfold it.
    for (let one = target; one; one = one.parentElement) if (one instanceof HTMLDetailsElement) one.open = true;
    if (target) target.scrollIntoView();
    if (target && target.hasAttribute("tabindex")) target.focus({ preventScroll: true });
  }

  function open(dialog, from) {
    opener = from;
    left = { opened: dialog.id, place: [window.scrollX, window.scrollY] };
    // Not by setting the address: the page stays where it is under the dialog.
    window.history.pushState(left, "", `#${dialog.id}`);
    show(dialog);
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    const from = event.target.closest("dialog[open]");
    if (link) {
      const target = document.getElementById(link.getAttribute("href").slice(1));
      if (target instanceof HTMLDialogElement) {
        event.preventDefault();
        open(target, link);
      } else if (from) {
        // The link leads elsewhere, and so does the focus.
        opener = null;
        left = null;
        from.close();
      }
      return;
    }
    const row = event.target.closest("tr[data-anchor]");
    const selected = String(window.getSelection());
    if (row && table.contains(row) && !selected) open(document.getElementById(row.dataset.anchor), row.querySelector("a"));
  });

  document.querySelectorAll("dialog").forEach((dialog) => {
    dialog.querySelector(".close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => {
      if (window.location.hash.slice(1) !== dialog.id) return;
      const state = window.history.state;
      const back = origin(dialog, state);
      if (back.place) {
        // The address of before is told by a change of it, after which the browser has moved the page and the focus.
        returning = back;
        window.history.back();
      } else {
        window.history.replaceState(null, "", plain());
        restore(back);
        opener = null;
      }
    });
  });
  window.addEventListener("hashchange", follow);
  follow();
})();
