// What Streamlit's own elements lack for who hears the page or goes by keys, added to each as it comes.
let shown = null // the page
let place = null // the page and its project
let goal = "" // the key of the part of the page to go to
let moved = false // to another page, whose title is not focused yet
let arrived = false // at the place that the address named when it was opened
let left = null // what had the focus before a dialog
let inDialog = false
let askedTheme = null // the theme in which the page was asked for

const set = (element, name, value) => {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value)
}
const each = (selector, action) => {
  for (const element of document.querySelectorAll(selector)) action(element)
}

// Texts that Streamlit says in English: as it wrote them, and as they stand now.
const said = new WeakMap()
let isTranslated = false

// A text of Streamlit in our words; `own` has ours by its.
export function inWords(text, own) {
  for (const [theirs, ours] of Object.entries(own)) if (text.includes(theirs)) return text.replace(theirs, ours)
  return text
}

function translate(own) {
  each("[data-testid=stFileUploaderDropzone], [data-testid=InputInstructions], [data-testid=stCameraInput]", (part) => {
    const texts = document.createTreeWalker(part, NodeFilter.SHOW_TEXT)
    while (texts.nextNode()) {
      const node = texts.currentNode
      const before = said.get(node)
      const from = before?.now === node.data ? before.from : node.data
      const now = inWords(from, own)
      said.set(node, { from, now })
      if (node.data !== now) node.data = now
    }
  })
  for (const name of ["aria-label", "placeholder"]) {
    each(`[${name}]`, (element) => {
      const ours = own[element.getAttribute(name)]
      if (ours) set(element, name, ours)
    })
  }
}

function mend({ words, lang, own }) {
  set(document.documentElement, "lang", lang)
  isTranslated ||= Object.keys(own).length > 0 // English needs nothing, but may follow another language
  if (isTranslated) translate(own)
  each(".st-key-way", (way) => {
    set(way, "role", "navigation")
    set(way, "aria-label", words.steps)
  })
  each(".st-key-way a", (link) => {
    if (new URL(link.href).pathname === location.pathname) set(link, "aria-current", "step")
    else link.removeAttribute("aria-current")
  })
  each(".st-key-spoken", (region) => set(region, "role", "status"))
  // The name of a picture of Streamlit's font is no word; what it says stands beside it.
  each("span[role=img][translate=no]", (icon) => set(icon, "aria-hidden", "true"))
  each("[aria-label*=':material/']", (named) =>
    set(named, "aria-label", named.ariaLabel.replace(/\s*:material\/\w+:/g, "")),
  )
  each("button[aria-label=Help]", (help) => {
    const text = help.closest("[data-testid=stElementContainer]")?.querySelector("p, h1, h2, h3")?.cloneNode(true)
    for (const other of text?.querySelectorAll("[role=img], button") ?? []) other.remove()
    if (text?.textContent.trim()) set(help, "aria-label", words.help.replace("{what}", text.textContent.trim()))
  })
  each("[data-testid=stProgress]", (bar) => {
    const text = bar.querySelector("[data-testid=stMarkdownContainer]")?.textContent.trim()
    const inner = bar.querySelector("[role=progressbar]")
    if (text && inner) set(inner, "aria-label", text)
    else set(bar, "aria-hidden", "true") // what it shows is said beside it
  })
}

// What was chosen is kept for a year, in this browser.
function keep(name, value) {
  // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API is not in every browser
  document.cookie = `${name}=${value}; path=/; max-age=31536000; samesite=lax`
}

function focusTitle() {
  const title = document.querySelector("h1")
  const app = document.querySelector("[data-testid=stApp]")
  if (!title || app?.dataset.testScriptState !== "notRunning") return
  moved = false
  // Not from under someone who has gone on to something else meanwhile.
  const at = document.activeElement
  if (at && at !== document.body && !at.closest(".st-key-way, [data-testid=stSidebar]")) return
  title.tabIndex = -1
  title.focus({ preventScroll: true })
}

// Streamlit goes to the place that an address names before the page has its style, which moves that place.
function goToPlace() {
  const place = document.getElementById(location.hash.slice(1))
  if (arrived || !place || document.querySelector("[data-testid=stApp]")?.dataset.testScriptState !== "notRunning")
    return
  arrived = true
  document.fonts.ready.then(() => place.scrollIntoView())
}

// To the part of the page that the last click was about, where it can be seen and goes on by keys.
function goToPart() {
  const part = document.querySelector(`.st-key-${goal}`)
  if (!part) return
  goal = ""
  part.tabIndex = -1
  part.focus({ preventScroll: true })
  const { top } = part.getBoundingClientRect()
  if (top < 0 || top > innerHeight / 2) part.scrollIntoView()
}

// On a phone the sidebar lies over the page that was chosen in it.
function putSidebarAway() {
  const bar = document.querySelector("[data-testid=stSidebar]")?.getBoundingClientRect()
  if (innerWidth < 768 && bar?.right > 100) {
    document.querySelector("[data-testid=stSidebarCollapseButton] button")?.click()
  }
}

function focusField(dialog) {
  const field = dialog.querySelector("[data-testid=stForm] input")
  if (!field || field.dataset.reached) return
  field.dataset.reached = "yes"
  field.focus()
}

// From a dialog back to where it was opened: Streamlit does not find what is inside a component of ours.
function leaveDialog() {
  const wasInDialog = inDialog
  inDialog = document.querySelector("[role=dialog]") !== null
  if (wasInDialog && !inDialog && document.activeElement === document.body) left?.focus({ preventScroll: true })
}

function remember(event) {
  const [at] = event.composedPath()
  if (!at.closest("[role=dialog]")) left = at
}

// The page is drawn in the colors of the theme of the time; with another theme it is drawn again. It may have changed
// before this part was drawn; so it is looked at here too, and asked for once, lest a page be drawn for ever.
function watchTheme(dark, ask) {
  const app = document.querySelector("[data-testid=stApp]")
  const compare = () => {
    const { colorScheme } = getComputedStyle(app)
    if (dark === (colorScheme === "dark")) askedTheme = null
    else if (askedTheme !== colorScheme) {
      askedTheme = colorScheme
      ask(colorScheme)
    }
  }
  const watch = new MutationObserver(compare)
  watch.observe(app, { attributes: true, attributeFilter: ["class"] })
  compare()
  return watch
}

export default function draw({ data, setTriggerValue }) {
  if (shown !== null && shown !== data.page) moved = true
  shown = data.page
  if (data.goal) goal = data.goal
  if (place !== null && place !== data.place) putSidebarAway()
  place = data.place
  if (data.kept) keep(data.cookie, data.kept)
  let waiting = 0
  const look = () => {
    waiting = 0
    mend(data)
    each("[role=dialog]", focusField)
    leaveDialog()
    if (moved) focusTitle()
    goToPlace()
    if (goal) goToPart()
  }
  const watch = new MutationObserver(() => {
    waiting ||= requestAnimationFrame(look)
  })
  watch.observe(document.body, {
    childList: true,
    subtree: true,
    characterData: true,
    attributes: true,
    attributeFilter: ["data-test-script-state", "aria-label", "href"],
  })
  const theme = watchTheme(data.dark, (name) => setTriggerValue("theme", name))
  document.addEventListener("focusin", remember)
  look()
  return () => {
    document.removeEventListener("focusin", remember)
    watch.disconnect()
    theme.disconnect()
    cancelAnimationFrame(waiting)
  }
}
