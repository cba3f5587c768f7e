// "Wrong? Say so": the visitor names what the picture shows, is told that it will be kept, and only then it is sent.
import { at, element } from "./elements.js"

export function offerCorrection(front, engine, words, fail) {
  const [button, dialog, sent] = ["wrong", "correction", "sent"].map(at)
  let [blob, guess] = [null, ""]
  button.textContent = words.fill("wrong")
  button.onclick = () => {
    dialog.replaceChildren(form())
    dialog.showModal()
  }

  function form() {
    const own = element("option", { value: "", textContent: words.fill("another") })
    const options = front.classes.filter((name) => name !== guess).map((name) => new Option(name, name))
    const pick = element("select", { id: "right-class" }, ...options, own)
    const field = element("input", { id: "own-word", type: "text", maxLength: 80, autocomplete: "off" })
    const named = element(
      "p",
      {},
      element("label", { htmlFor: "own-word", textContent: words.fill("own_word") }),
      field,
    )
    const send = element("button", { className: "primary", textContent: words.fill("send") })
    const cancel = element("button", {
      type: "button",
      textContent: words.fill("cancel"),
      onclick: () => dialog.close(),
    })
    const word = () => pick.value || field.value.trim()
    const check = () => {
      named.hidden = pick.value !== ""
      send.disabled = word() === ""
    }
    pick.onchange = field.oninput = check
    check()
    const made = element(
      "form",
      { method: "dialog" },
      element("h2", { id: "correction-title", textContent: words.fill("wrong_title") }),
      element("p", {}, element("label", { htmlFor: "right-class", textContent: words.fill("shows") }), pick),
      named,
      element("p", { className: "told", textContent: words.fill("wrong_told") }),
      element("div", { className: "actions" }, send, cancel),
    )
    made.onsubmit = () => report(word())
    return made
  }

  async function report(word) {
    try {
      await engine.report(blob, word)
      sent.textContent = words.fill("sent")
      sent.hidden = false
      button.hidden = true
    } catch (error) {
      fail(error)
    }
  }

  return (newBlob, label) => {
    ;[blob, guess] = [newBlob, label]
    sent.hidden = true
  }
}
