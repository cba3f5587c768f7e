export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".grid")
  root.style.setProperty("--size", data.size + "px")
  root.classList.toggle("strip", data.strip)
  const chosen = new Set(data.selected)
  const tools = parentElement.querySelector(".tools")
  tools.hidden = data.mode !== "many" || !data.items.length
  for (const [name, ids] of [["all", data.items.map((item) => item.id)], ["none", []]]) {
    const button = tools.querySelector("." + name)
    button.textContent = data[name]
    button.onclick = () => setStateValue("selected", ids)
  }
  root.replaceChildren(...data.items.map((item) => {
    const cell = document.createElement(data.mode === "show" ? "div" : "button")
    cell.className = "cell"
    const image = document.createElement("img")
    image.loading = "lazy"
    image.src = "/api/thumbnail/" + item.id
    image.alt = item.alt
    image.title = item.alt
    cell.append(image)
    if (item.caption) {
      const text = document.createElement("span")
      text.textContent = item.caption
      cell.append(text)
    }
    if (data.mode === "many") {
      cell.type = "button"
      cell.setAttribute("aria-pressed", chosen.has(item.id))
      cell.onclick = () => {
        chosen.has(item.id) ? chosen.delete(item.id) : chosen.add(item.id)
        cell.setAttribute("aria-pressed", chosen.has(item.id))
        setStateValue("selected", [...chosen])
      }
    } else if (data.mode === "one") {
      cell.type = "button"
      cell.setAttribute("aria-pressed", chosen.has(item.id))
      cell.onclick = () => setTriggerValue("picked", item.id)
    }
    return cell
  }))
}
