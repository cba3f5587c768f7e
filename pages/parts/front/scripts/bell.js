// Tells of the end of what this tab saw at work: by a notification where the user switched that on, and, while the tab
// is hidden, by its title. What was seen is in the tab's session, so that a reload forgets nothing.
const SEEN = "headstart-at-work"
const ON = "headstart-bell"

const can = () => "Notification" in window
const isOn = () => can() && Notification.permission === "granted" && localStorage.getItem(ON) === "on"

function tell({ id, title, body, tab }) {
  if (isOn()) {
    const note = new Notification(title, { body, tag: id })
    note.onclick = () => {
      window.focus()
      note.close()
    }
  }
  if (!document.hidden) return
  const before = document.title
  const keep = () => {
    if (document.title !== tab) document.title = tab
  }
  const watch = new MutationObserver(keep) // the page sets its own title whenever it is drawn
  watch.observe(document.querySelector("title"), { childList: true, characterData: true, subtree: true })
  keep()
  const seen = () => {
    if (document.hidden) return
    document.removeEventListener("visibilitychange", seen)
    watch.disconnect()
    document.title = before
  }
  document.addEventListener("visibilitychange", seen)
}

function look({ active, ended }) {
  const seen = new Set(JSON.parse(sessionStorage.getItem(SEEN) || "[]"))
  const done = ended.filter(({ id }) => seen.delete(id))
  for (const id of active) seen.add(id)
  sessionStorage.setItem(SEEN, JSON.stringify([...seen]))
  done.forEach(tell)
}

export default function draw({ data, parentElement }) {
  const label = parentElement.querySelector(".bell")
  const box = label.querySelector("input")
  label.classList.toggle("none", !data.words)
  if (!data.words) return look(data)
  const show = () => {
    const denied = !can() || Notification.permission === "denied"
    label.classList.toggle("off", denied)
    box.disabled = denied
    box.checked = isOn()
    label.querySelector(".text").textContent = denied ? data.words.denied : data.words.tell
  }
  box.onchange = async () => {
    if (!box.checked) localStorage.removeItem(ON)
    else if ((await Notification.requestPermission()) === "granted") localStorage.setItem(ON, "on")
    show()
  }
  show()
}
