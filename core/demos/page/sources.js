// The pictures that can be asked about: a file that is chosen or dropped, and the examples.
import { at, element } from "./elements.js"

export function offerFiles(words, chosen) {
  const [drop, file, capture] = ["drop", "file", "capture"].map(at)
  drop.querySelector("span").textContent = words.fill("drop")
  for (const field of [file, capture]) {
    field.onchange = () => {
      if (field.files[0]) chosen(field.files[0], field.files[0].name)
      field.value = "" // so that the same file can be chosen again
    }
  }
  // Anywhere on the page, since a file that misses the field would be opened in place of the page.
  addEventListener("dragover", (event) => {
    event.preventDefault()
    drop.classList.add("over")
  })
  addEventListener("dragleave", () => drop.classList.remove("over"))
  addEventListener("drop", (event) => {
    event.preventDefault()
    drop.classList.remove("over")
    const dropped = event.dataTransfer.files[0]
    if (dropped) chosen(dropped, dropped.name)
  })
}

export function offerExamples(front, words, chosen) {
  at("examples-title").textContent = words.fill("examples")
  at("examples").replaceChildren(
    ...front.examples.map(({ address, label }, i) => {
      const name = words.fill("picture", { number: i + 1, of: front.examples.length })
      const button = element("button", { type: "button" }, element("img", { src: address, alt: name, loading: "lazy" }))
      button.onclick = async () => {
        const answer = await fetch(address)
        if (answer.ok) chosen(await answer.blob(), name, label)
      }
      return element("li", {}, button)
    }),
  )
  for (const id of ["examples", "examples-title"]) at(id).hidden = !front.examples.length
}
