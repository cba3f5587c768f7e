// Everything up to an action happens here, so that selecting costs no rerun and no list closes under the pointer.
// What is selected belongs to one listing; a page that is turned, filtered or changed begins anew.
const states = new WeakMap()

export default function ({ data, parentElement, setTriggerValue }) {
  const find = (name) => parentElement.querySelector(name)
  const { items, words, classes, parts } = data
  const state = states.get(parentElement) ?? { chosen: new Set(), at: 0, anchor: 0, listing: null, every: false }
  states.set(parentElement, state)
  const fresh = state.listing !== data.listing
  if (fresh) {
    const at = data.focus ? Math.max(0, Math.min(state.at, items.length - 1)) : 0  // an action goes on where it was
    Object.assign(state, { chosen: new Set(), at, anchor: at, every: false, listing: data.listing })
  }
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key])
  const root = find(".grid"), large = find(".large")
  const cells = () => [...root.children]

  const act = (what) => {
    const ids = state.every ? [] : [...state.chosen]
    if (what.code !== "undo" && !state.every && !ids.length) return
    setTriggerValue("act", { ...what, ids, every: state.every })
  }
  // By its number: a second click, or one in another tab, does not take back what came before it.
  const undo = () => act({ code: "undo", number: data.change })
  const why = () => {
    if (!data.why || !items.length) return
    if (large.open) large.close()  // it would lie above the answer
    setTriggerValue("act", { code: "why", ids: [items[state.at].id], every: false })
  }
  const paint = () => {
    const n = state.every ? data.n : state.chosen.size
    cells().forEach((cell, i) => {
      cell.setAttribute("aria-selected", state.every || state.chosen.has(items[i].id))
      cell.tabIndex = i === state.at ? 0 : -1
    })
    find(".count").textContent = n ? fill(words.selected, { n }) : words.hint
    find(".none").hidden = !n
    find(".page").hidden = !items.length || state.every || state.chosen.size === items.length
    find(".every").hidden = data.n <= items.length || state.every || state.chosen.size < items.length
    find(".out").disabled = find(".part").disabled = !n
    find(".move").disabled = !n || !find(".class").value.trim()
  }
  const mark = (i, on) => { on ? state.chosen.add(items[i].id) : state.chosen.delete(items[i].id) }
  const toggle = (i, range) => {
    if (state.every) { state.every = false; state.chosen = new Set(items.map((item) => item.id)) }
    if (range) {
      const [a, b] = [Math.min(state.anchor, i), Math.max(state.anchor, i)]
      for (let j = a; j <= b; j++) mark(j, true)
    } else {
      mark(i, !state.chosen.has(items[i].id))
      state.anchor = i
    }
    state.at = i
    paint()
  }
  const all = () => { items.forEach((_, i) => mark(i, true)); paint() }
  const none = () => { state.chosen.clear(); state.every = false; paint() }
  const focus = (i) => {
    if (i < 0 || i >= items.length) return
    state.at = i
    paint()
    cells()[i].focus()
  }
  const show = (i) => {
    if (i < 0 || i >= items.length) return
    const item = items[i]
    state.at = i
    const image = large.querySelector("img")
    image.src = "/api/picture/" + item.id
    image.onerror = () => { image.onerror = null; image.src = "/api/thumbnail/" + item.id }
    image.alt = item.label
    large.querySelector(".facts").textContent = item.facts
    large.querySelector(".mark").textContent = state.chosen.has(item.id) ? words.unmark : words.mark
    if (!large.open) large.showModal()
    paint()
  }
  const out = () => act({ code: data.excluded ? "take_back" : "exclude" })
  const columns = () => getComputedStyle(root).gridTemplateColumns.split(" ").length

  if (fresh || root.children.length !== items.length) {
    root.setAttribute("role", "listbox")
    root.setAttribute("aria-multiselectable", "true")
    root.setAttribute("aria-label", words.pictures)
    root.replaceChildren(...items.map((item) => {
      const cell = document.createElement("div")
      cell.className = "cell"
      cell.setAttribute("role", "option")
      cell.setAttribute("aria-label", item.facts)
      const image = document.createElement("img")
      image.loading = "lazy"
      image.src = "/api/thumbnail/" + item.id
      image.alt = ""
      image.draggable = false
      const zoom = document.createElement("span")
      zoom.className = "zoom"
      zoom.textContent = "\u2922"
      zoom.title = words.enlarge
      const text = document.createElement("div")
      text.className = "text"
      for (const value of [item.label, item.part]) {
        const span = document.createElement("span")
        span.textContent = value
        text.append(span)
      }
      cell.append(image, zoom, text)
      return cell
    }))
  }
  cells().forEach((cell, i) => {
    cell.onclick = (event) => toggle(i, event.shiftKey)
    cell.ondblclick = () => show(i)
    cell.querySelector(".zoom").onclick = (event) => { event.stopPropagation(); show(i) }
  })
  root.onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns(), Home: -state.at,
      End: items.length - 1 - state.at }[event.key]
    if (step !== undefined) {
      focus(state.at + step)
      if (event.shiftKey) toggle(state.at, true)
    } else if (event.key === " ") toggle(state.at, event.shiftKey)
    else if (event.key === "Enter") show(state.at)
    else if (event.key === "Delete" || event.key === "Backspace") {
      if (!state.chosen.size && !state.every) mark(state.at, true)
      out()
    } else if (event.key === "z" && data.undo && !event.repeat) undo()
    else if (event.key === "w" && data.why && !event.repeat) why()
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) all()
    else if (event.key === "Escape") none()
    else return
    event.preventDefault()
    event.stopPropagation()
  }
  large.onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (step) show(state.at + step)
    else if (event.key === " ") { toggle(state.at); show(state.at) }
    else if (event.key === "w" && data.why && !event.repeat) why()
    else if (event.key === "Escape") large.close()
    else return
    event.preventDefault()
    event.stopPropagation()
  }
  large.onclose = () => focus(state.at)
  large.onclick = (event) => event.target === large && large.close()
  for (const [name, text, action] of [
    [".page", words.all, all], [".every", fill(words.every, { n: data.n }), () => { state.every = true; paint() }],
    [".none", words.none, none], [".out", data.excluded ? words.take_back : words.leave_out, out],
    [".move", words.move, () => act({ code: "relabel", label: find(".class").value })],
    [".undo", data.undo, () => undo()], [".close", "\u00d7", () => large.close()],
    [".back", "\u2190", () => show(state.at - 1)], [".on", "\u2192", () => show(state.at + 1)],
    [".mark", words.mark, () => { toggle(state.at); show(state.at) }],
    [".why", words.why, why],
  ]) {
    const button = find(name)
    button.textContent = text
    button.onclick = action
  }
  find(".close").setAttribute("aria-label", words.close)
  find(".back").setAttribute("aria-label", words.back)
  find(".on").setAttribute("aria-label", words.on)
  find(".undo").hidden = !data.undo
  find(".why").hidden = !data.why
  find(".acts").hidden = !items.length
  find(".keys").textContent = items.length ? words.keys + (data.why ? " " + words.keys_why : "") : ""
  const target = find(".class")
  target.placeholder = words.class
  target.setAttribute("aria-label", words.class)
  target.oninput = paint
  target.onkeydown = (event) => event.key === "Enter" && act({ code: "relabel", label: target.value })
  const option = (value, text) => Object.assign(document.createElement("option"), { value, textContent: text })
  find("#classes").replaceChildren(...classes.map((name) => option(name, "")))
  const part = find(".part")
  part.setAttribute("aria-label", words.part)
  part.hidden = data.excluded
  part.replaceChildren(option("", words.part), ...parts.map((name) => option(name, name)))
  part.onchange = () => part.value && act({ code: "move", part: part.value })
  if (fresh) target.value = ""
  paint()
  // Not from under someone who has gone on to something else meanwhile.
  const idle = [document.body, root.getRootNode().host].includes(document.activeElement)
  if (fresh && data.focus && idle && items.length) cells()[state.at].focus({ preventScroll: true })
}
