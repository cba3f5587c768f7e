// Shows where the model looks, when somebody asks for it.
import { at, element } from "./elements.js"

export function offerHeatMap(engine, words, fail) {
  const [button, place] = [at("why"), at("heat")]
  let blob = null

  function close() {
    place.hidden = true
    place.replaceChildren()
    button.textContent = words.fill("demo_why")
    button.setAttribute("aria-expanded", "false")
  }

  button.onclick = async () => {
    if (!place.hidden) return close()
    const asked = blob
    try {
      const found = await engine.explain(asked)
      if (asked === blob) open(found)
    } catch (error) {
      fail(error)
    }
  }

  function open({ address, label, nothing, rows, columns }) {
    const text = words.fill(nothing ? "why_nothing" : "why_hot", { label })
    place.replaceChildren(
      element("img", { src: address, alt: text }),
      element("p", { textContent: text }),
      element("p", { className: "quiet", textContent: words.fill("why_limits", { rows, columns }) }),
    )
    place.hidden = false
    place.firstChild.onload = () => place.scrollIntoView({ block: "nearest" }) // on a phone it is below the screen
    button.textContent = words.fill("why_hide")
    button.setAttribute("aria-expanded", "true")
  }

  return (newBlob) => {
    blob = newBlob
    close()
  }
}
