// The colors of the theme, of which one may be picked; the first is none.
import { element } from "./elements.js"
import { css, rgbs } from "./map/colors.js"

export default function draw({ data, parentElement, setTriggerValue }) {
  const place = parentElement.querySelector(".swatches")
  const palette = rgbs(getComputedStyle(place).getPropertyValue("--st-chart-categorical-colors"))
  const swatch = (name, i) => {
    const dot = element("span", { className: i ? "dot" : "dot none" })
    if (i) dot.style.background = css(palette[i - 1])
    const onclick = () => setTriggerValue("picked", i)
    return element("button", { type: "button", onclick, ariaPressed: String(i === data.chosen) }, dot, name)
  }
  place.replaceChildren(...data.names.map(swatch))
}
