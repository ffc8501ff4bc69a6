// Selecting a question shows its stops and its route on the map; selecting it again hides them.
document.querySelectorAll("button[data-marks]").forEach(function (button) {
  button.addEventListener("click", function () {
    var section = button.closest("section"), row = button.closest("li");
    var show = !row.classList.contains("chosen");
    section.querySelectorAll(".shown").forEach(function (g) { g.classList.remove("shown"); });
    section.querySelectorAll(".chosen").forEach(function (r) { r.classList.remove("chosen"); });
    row.classList.toggle("chosen", show);
    document.getElementById(button.dataset.marks).classList.toggle("shown", show);
    section.querySelector(".sheet").classList.toggle("dim", show);
  });
});
document.querySelectorAll(".kinds button").forEach(function (button) {
  button.addEventListener("click", function () {
    var section = button.closest("section"), kind = button.dataset.kind;
    section.querySelectorAll(".kinds button").forEach(function (b) { b.setAttribute("aria-pressed", b === button); });
    section.querySelectorAll("li").forEach(function (row) { row.hidden = kind !== "" && row.dataset.kind !== kind; });
  });
});
