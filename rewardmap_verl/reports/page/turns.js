// The turns of a trajectory: what the model wrote, what the zoom tool showed, and where on the map.
// A model's text is inserted as text. Pictures are files that the report wrote, named by numbers.
"use strict";
window.turns = (() => {
  const CROP = /^maps\/\d+(-\d+){4}\.webp$/;
  const COLORS = 6; // colors of rectangles in the style sheet

  const boxesOf = (one) => (one.turns || []).filter((turn) => turn[2]).map((turn) => turn[2]);

  // Rectangles over the picture, in thousandths of its sides, in the order of the calls.
  function rectangles(one, svg) {
    return boxesOf(one).flatMap(([left, top, right, bottom], place) => {
      const call = `call-${place % COLORS}`;
      return [
        svg("rect", { class: `box ${call}`, x: left, y: top, width: right - left, height: bottom - top, "vector-effect": "non-scaling-stroke" }),
      ];
    });
  }

  function picture(turn, place, map, el, svg) {
    const [left, top, right, bottom] = turn[2];
    const label = `Crop ${place + 1}: ${left}, ${top} to ${right}, ${bottom}`;
    const call = `crop call-${place % COLORS}`;
    if (CROP.test(turn[3] || "")) return el("img", { class: call, src: turn[3], alt: label, loading: "lazy" });
    if (!map) return null;
    const [wide, high] = [map.width / 1000, map.height / 1000];
    return svg("svg", { class: call, role: "img", "aria-label": label,
      viewBox: `${left * wide} ${top * high} ${(right - left) * wide} ${(bottom - top) * high}` },
    svg("image", { href: map.full, width: map.width, height: map.height }));
  }

  function conversation(one, map, el, svg) {
    let calls = 0;
    return el("ol", { class: "turns" }, ...one.turns.map((turn) => {
      const [speaker, text, box] = turn;
      const who = speaker === "tool" ? "zoom" : "model";
      return el("li", { class: who }, el("small", {}, who),
        box ? picture(turn, calls++, map, el, svg) : null,
        el("pre", { class: who === "model" ? "answer" : "" }, text === "" ? "(empty)" : text));
    }));
  }

  return { conversation, rectangles };
})();
