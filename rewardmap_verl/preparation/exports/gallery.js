// Selecting a question shows its stops and its route on the map; selecting it again hides them.
document.querySelectorAll("button[data-marks]").forEach(function (button) {
  button.addEventListener("click", function () {
    var section = button.closest("section"), row = button.closest("li");
    var show = !row.classList.contains("chosen"), marks = document.getElementById(button.dataset.marks);
    section.querySelectorAll(".shown").forEach(function (g) { g.classList.remove("shown"); });
    section.querySelectorAll(".chosen").forEach(function (r) { r.classList.remove("chosen"); });
    row.classList.toggle("chosen", show);
    marks.classList.toggle("shown", show);
    marks.closest(".sheet").classList.toggle("dim", show);
  });
});
document.querySelectorAll(".kinds button").forEach(function (button) {
  button.addEventListener("click", function () {
    var section = button.closest("section"), kind = button.dataset.kind;
    section.querySelectorAll(".kinds button").forEach(function (b) { b.setAttribute("aria-pressed", b === button); });
    section.querySelectorAll("li").forEach(function (row) { row.hidden = kind !== "" && row.dataset.kind !== kind; });
  });
});
// Zooming enlarges the sheet up to the width of its column, then its content, which scrolls.
document.querySelectorAll("button[data-zoom]").forEach(function (button) {
  button.addEventListener("click", function () {
    var sheet = button.closest("figure").querySelector(".sheet"), inner = sheet.firstElementChild;
    var zoom = Math.min(16, Math.max(1, Number(sheet.dataset.zoom || 1) * Number(button.dataset.zoom)));
    var x = (sheet.scrollLeft + sheet.clientWidth / 2) / sheet.scrollWidth;
    var y = (sheet.scrollTop + sheet.clientHeight / 2) / sheet.scrollHeight;
    sheet.style.width = sheet.style.height = inner.style.width = "";
    var wide = inner.clientWidth * zoom, high = inner.clientHeight * zoom;
    sheet.dataset.zoom = zoom;
    sheet.classList.toggle("zoomed", zoom > 1);
    if (zoom > 1) {
      sheet.style.width = Math.min(wide, sheet.parentElement.clientWidth) + "px";
      sheet.style.height = Math.min(high, Number(sheet.dataset.part) * innerHeight) + "px";
      inner.style.width = wide + "px";
    }
    sheet.scrollLeft = x * sheet.scrollWidth - sheet.clientWidth / 2;
    sheet.scrollTop = y * sheet.scrollHeight - sheet.clientHeight / 2;
  });
});
