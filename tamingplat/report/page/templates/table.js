"use strict";
// The table: sorting among lines whose numbers may be compared, and filtering by words and by single columns.
(() => {
  const table = document.getElementById("results-table");
  const form = document.getElementById("filters");
  const shown = document.getElementById("shown");
  const search = document.getElementById("search");
  const headings = [...table.tHead.rows[0].cells];
  const bodies = [...table.tBodies];
  const original = bodies.map((body) => [...body.rows]);
  const compared = original[0];
  let sorting = "";

  const place = (cell) => (cell.dataset.pool ? Number(cell.dataset.pool) : Infinity);
  const numeric = (index) => ["count", "metric", "cost"].includes(headings[index].dataset.kind);

  // Missing values come last, whichever way.
  function byValue(index, sign) {
    return (one, other) => {
      const [a, b] = [one.cells[index].dataset.sort, other.cells[index].dataset.sort];
      if (!a || !b) return (a ? 0 : 1) - (b ? 0 : 1);
      return sign * (numeric(index) ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true }));
    };
  }

  function sort(index, direction) {
    headings.forEach((heading, at) => heading.setAttribute("aria-sort", at === index ? direction : "none"));
    const heading = headings[index];
    const split = Number(heading.dataset.pools) > 1;
    bodies.forEach((body, number) => {
      const rows = [...original[number]];
      if (direction !== "none") {
        const values = byValue(index, direction === "ascending" ? 1 : -1);
        // Lines of different pools are not comparable, and never sorted among each other, whether they are ranked or not.
        const apart = (one, other) => {
          const [a, b] = [place(one.cells[index]), place(other.cells[index])];
          return a === b ? 0 : a - b;
        };
        rows.sort((one, other) => (split && number === 0 ? apart(one, other) : 0) || values(one, other));
      }
      let before = null;
      rows.forEach((row) => {
        const pool = split && number === 0 && direction !== "none" ? row.cells[index].dataset.pool || "" : null;
        row.classList.toggle("first-of-pool", before !== null && pool !== null && pool !== before);
        before = pool;
        body.append(row);
      });
    });
    sorting = "";
    if (direction !== "none") {
      sorting = ` Sorted by ${heading.dataset.label}, ${direction}`;
      sorting += split ? `, within each of ${heading.dataset.pools} groups that are not comparable: they differ in ${heading.dataset.split}.` : ".";
    }
    count();
  }

  headings.forEach((heading, index) => {
    heading.querySelector("button").addEventListener("click", () => {
      const now = heading.getAttribute("aria-sort");
      // The better end first; then the other way; then as the manifest has it.
      const first = heading.dataset.better === "higher" ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      sort(index, now === first ? second : now === second ? "none" : first);
    });
  });

  // Parts between separators; what is in brackets, as in the names of columns and of variants, is not looked at.
  function split(text, separator) {
    const parts = [""];
    let depth = 0;
    [...text].forEach((character) => {
      depth += "([".includes(character) - ")]".includes(character);
      if (depth <= 0 && separator.test(character)) parts.push("");
      else parts[parts.length - 1] += character;
    });
    return parts;
  }

  // A column by its heading, or by what stands before the parentheses in it; none where several could be meant.
  function column(name) {
    const labels = headings.map((heading) => heading.dataset.label.toLowerCase().replaceAll(" ", "-"));
    if (labels.includes(name)) return labels.indexOf(name);
    const short = labels.flatMap((label, index) => (label.split("-(")[0] === name ? [index] : []));
    return short.length === 1 ? short[0] : -1;
  }

  // Whether a number is another one as it is shown, to four digits.
  const near = (number, other) => number === other || (!Number.isInteger(number) && Math.abs(number - other) <= 5e-4 * Math.max(Math.abs(number), Math.abs(other)));

  const RELATIONS = { "<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b };

  // What a word asks of a line: a test, and the column that it is of; false where it asks for nothing yet, null where it is wrong.
  function condition(word) {
    const [name] = split(word, /[<>=!]/);
    const relation = /^(<=|>=|!=|<|>|=|!$)/.exec(word.slice(name.length))?.[0];
    if (!relation || !name) return { holds: (row) => row.textContent.toLowerCase().includes(word), index: -1 };
    const value = word.slice(name.length + relation.length);
    const index = column(name);
    if (index < 0) return null;
    if (!value) return false;
    const values = split(value, /\|/);
    const cell = (row) => row.cells[index];
    const equal = relation === "=";
    if (!numeric(index)) {
      if (!equal && relation !== "!=") return null;
      return { holds: (row) => values.includes((cell(row).dataset.sort || "").toLowerCase()) === equal, index };
    }
    const limits = values.map(Number);
    if (limits.some(Number.isNaN) || values.includes("")) return null;
    const holds = (number) => equal || relation === "!=" ? limits.some((limit) => near(number, limit)) === equal : limits.every((limit) => RELATIONS[relation](number, limit));
    return { holds: (row) => Boolean(cell(row).dataset.sort) && holds(Number(cell(row).dataset.sort)), index };
  }

  // Real images and reconstructions stay beside what is compared: only a name that they have can be another one than asked for.
  const concerns = (row, index) => index >= 0 && "component" in headings[index].dataset && Boolean(row.cells[index].dataset.sort);

  function filter() {
    const asked = split(search.value.toLowerCase(), /\s/).filter(Boolean).map(condition);
    const wrong = asked.includes(null);
    search.parentElement.classList.toggle("wrong", wrong);
    search.setAttribute("aria-invalid", String(wrong));
    const conditions = asked.filter(Boolean);
    form.querySelectorAll("select").forEach((select) => {
      const index = headings.findIndex((heading) => heading.dataset.label === select.dataset.filter);
      if (select.value && index >= 0) conditions.push({ holds: (row) => row.cells[index].dataset.sort === select.value, index });
    });
    original.forEach((rows, number) => {
      rows.forEach((row) => {
        row.hidden = !conditions.every(({ holds, index }) => (number > 0 && !concerns(row, index)) || holds(row));
      });
    });
    count();
  }

  function count() {
    const visible = compared.filter((row) => !row.hidden).length;
    const wrong = search.getAttribute("aria-invalid") === "true";
    shown.textContent = `${visible} of ${compared.length} combinations shown.${wrong ? " A condition names no column, or no number." : ""}${sorting}`;
  }

  form.addEventListener("input", filter);
  form.addEventListener("change", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("every-column").addEventListener("change", (event) => {
    table.classList.toggle("every", event.target.checked);
  });
  document.getElementById("show-all").addEventListener("click", () => {
    form.reset();
    table.classList.remove("every");
    sort(0, "none");
    filter();
  });
  form.hidden = false;
  filter();
})();
