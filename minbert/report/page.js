// Adds to each table that asks for one a box that hides the rows in which a word of the box is missing.
for (const table of document.querySelectorAll("table[data-search]")) {
  const rows = [...table.tBodies[0].rows], texts = rows.map(row => row.textContent.toLowerCase());
  const label = document.createElement("label"), box = document.createElement("input"), found = document.createElement("output");
  label.className = "search";
  box.type = "search";
  label.append(table.dataset.search, box, found);
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/);
    rows.forEach((row, i) => row.hidden = !words.every(word => texts[i].includes(word)));
    found.value = box.value ? rows.filter(row => !row.hidden).length + " of " + rows.length : "";
  });
  table.parentElement.before(label);
}
