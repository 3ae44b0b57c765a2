// Dragging across a drawing over time looks at the time that was dragged across. data-zoom has the address
// without its time, data-zoom-times the microseconds at the two places data-zoom-places of the drawing.
const LEAST_DRAG = 6; // pixels; less is a click
const SVG = "http://www.w3.org/2000/svg";

function zoomable(drawing) {
  const [start, end] = drawing.dataset.zoomTimes.split(" ").map(Number);
  const [left, right] = drawing.dataset.zoomPlaces.split(" ").map(Number);
  const { width, height } = drawing.viewBox.baseVal;
  let from = null;
  let box = null;

  const place = (event) => {
    const { x, width: shown } = drawing.getBoundingClientRect();
    return Math.min(right, Math.max(left, ((event.clientX - x) / shown) * width));
  };
  const time = (at) => Math.round(start + ((at - left) / Math.max(1, right - left)) * (end - start));

  const stop = () => {
    box?.remove();
    from = box = null;
  };

  drawing.addEventListener("pointerdown", (event) => {
    // A finger scrolls the page; only a mouse or a pen draws.
    if (event.button || event.pointerType === "touch") return;
    from = { x: event.clientX, at: place(event), pointer: event.pointerId };
  });
  addEventListener("pointermove", (event) => {
    if (!from || (!box && Math.abs(event.clientX - from.x) < LEAST_DRAG)) return;
    if (!box) {
      box = document.createElementNS(SVG, "rect");
      box.setAttribute("class", "zoom-box");
      box.setAttribute("height", height);
      drawing.append(box);
    }
    const at = place(event);
    box.setAttribute("x", Math.min(at, from.at));
    box.setAttribute("width", Math.abs(at - from.at));
  });
  addEventListener("pointerup", (event) => {
    if (!from) return;
    const [first, last] = [from.at, place(event)].sort((a, b) => a - b);
    const dragged = box !== null;
    stop();
    if (!dragged) return;
    // The click that ends a drag is no choice of the link below it.
    addEventListener("click", (click) => click.preventDefault(), { capture: true, once: true });
    setTimeout(() => {
      const address = new URL(drawing.dataset.zoom, location.href);
      address.searchParams.set("lookback", "custom");
      address.searchParams.set("start", time(first));
      address.searchParams.set("end", Math.max(time(last), time(first) + 1000));
      location.assign(address);
    });
  });
  addEventListener("pointercancel", stop);
  addEventListener("keydown", (event) => event.key === "Escape" && stop());
  drawing.addEventListener("dragstart", (event) => event.preventDefault());
}

document.querySelectorAll("[data-zoom]").forEach(zoomable);
