const LANES = 3  // files on their way at once; more do not fill a line better
const WINDOW = 5000  // ms of which the speed is the mean
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name])
const mb = (n) => (n / 1e6).toFixed(n < 1e7 ? 1 : 0)

// Short, as a tab has room for little; files that only seem to be the same are refused by the server.
function digest(text) {
  let sum = 7
  for (let i = 0; i < text.length; i++) sum = (Math.imul(sum, 31) + text.charCodeAt(i)) | 0
  return `${text.length} ${sum}`
}

async function walk(entry, path, found) {
  if (entry.isFile) {
    const file = await new Promise((done, fail) => entry.file(done, fail))
    found.push({ file, name: path + file.name })
  } else {
    const reader = entry.createReader()
    for (;;) {
      const some = await new Promise((done, fail) => reader.readEntries(done, fail))
      if (!some.length) break
      for (const child of some) await walk(child, path + entry.name + "/", found)
    }
  }
}

// The files that were dropped, those of folders with their paths. The items are gone once this waits.
async function entries(items) {
  const found = [], files = [...items].filter((item) => item.kind === "file")
  for (const one of files.map((item) => item.webkitGetAsEntry() ?? item.getAsFile()))
    if (one instanceof File) found.push({ file: one, name: one.name })
    else await walk(one, "", found)
  return found
}

// What one project sends in this tab: one delivery after the other. `draw` and `taken` are those of the page that was
// drawn last; `said` are sentences that are about no delivery.
function zoneOf(project) {
  return (ours.zones[project] ??= { project, queue: [], now: null, said: [], draw() {}, taken() {} })
}

function add(zone, list) {
  const { label, words } = zone.settings
  if (!list.length) return say(zone, words.drop_nothing)
  zone.said = []
  const these = digest(JSON.stringify(list.map(({ file, name }) => [name, file.size, file.lastModified])))
  const before = remembered(zone.project).filter((one) => !ours.live.has(one.batch))
  for (const one of before) if (one.why) forget(zone.project, one.batch)  // it was told, and this is the answer to it
  // The same files go on where they stopped; others are another delivery, as the server knows files by number.
  const same = before.find((one) => one.these === these)
  const record = { batch: same?.batch ?? hex(), these, n: list.length, sent: 0, label: label || (same?.label ?? "") }
  ours.live.add(record.batch)
  remember(zone.project, record)
  zone.queue.push({ record, list, begun: Boolean(same) })
  if (!zone.now) work(zone)
  zone.draw()
}

function say(zone, text) {
  zone.said.push(text)
  zone.draw()
}

async function work(zone) {
  while ((zone.now = zone.queue.shift())) {
    await settle(zone, zone.now.record, () => send(zone, zone.now))
    zone.now = null
  }
  zone.draw()
}

// Sends what is left to send and has it taken in; what went wrong stays with the delivery.
async function settle(zone, record, sent) {
  ours.live.add(record.batch)
  try {
    await sent()
    await takeIn(zone.project, record, zone.settings.words, () => {})
    zone.taken()
  } catch (error) {
    record.lost = error instanceof TypeError
    record.why = record.lost ? "" : error.message
    remember(zone.project, record)
  }
  ours.live.delete(record.batch)
  zone.draw()
}

async function send(zone, { record, list, begun }) {
  const { words, chunk } = zone.settings
  const total = list.reduce((sum, item) => sum + item.file.size, 0), have = list.map(() => 0)
  let over = false, next = 0, sum = 0, marks = [[performance.now(), 0]]
  const moved = (number, offset) => {
    if (over) throw new Error("over")  // another lane has given up
    sum += offset - have[number]
    have[number] = offset
    const now = performance.now()
    marks.push([now, sum])
    while (marks.length > 2 && now - marks[0][0] > WINDOW) marks.shift()
    const rate = (sum - marks[0][1]) / Math.max((now - marks[0][0]) / 1000, 0.1)
    const left = rate > 0 ? Math.ceil((total - sum) / rate) : 0
    const time = left < 90 ? `${left} s` : `${Math.round(left / 60)} min`
    const text = `${words.uploading} ${mb(sum)} / ${mb(total)} MB, ${mb(rate)} MB/s, ${time} ${words.left}`
    zone.progress = { share: total ? sum / total : 1, text }
    zone.draw()
  }
  const lost = () => { zone.progress.text = words.upload_failed; zone.draw() }
  zone.progress = { share: 0, text: words.uploading }
  const lane = async () => {
    while (next < list.length) {
      const number = next++
      const each = { chunk, begun, words, lost, moved: (offset) => moved(number, offset) }
      await sendFile(record.batch, number, list[number], each)
      record.sent++
      remember(zone.project, record)
    }
  }
  try {
    await Promise.all(Array.from({ length: Math.min(LANES, list.length) }, lane))
  } finally {
    over = true
    next = list.length
  }
}

// A delivery that stopped, in a sentence or two.
function stopped({ n, sent, label, lost, why }, words) {
  if (sent >= n) return why || words.upload_gave_up
  const said = fill(label ? words.upload_stopped_class : words.upload_stopped, { n, sent, label })
  return [said, lost ? words.upload_gave_up : "", why || words.upload_again].filter(Boolean).join(" ")
}

function notice(text, dismissed, words) {
  const [row, line, close] = ["div", "span", "button"].map((name) => document.createElement(name))
  row.className = "notice"
  line.textContent = text
  close.type = "button"
  close.textContent = words.dismiss
  close.onclick = dismissed
  row.append(line, close)
  return row
}

export default function ({ data, parentElement, setTriggerValue }) {
  const find = (name) => parentElement.querySelector("." + name)
  const root = find("zone"), zone = zoneOf(data.project), { words } = data
  zone.settings = data
  root.classList.toggle("slim", data.slim)
  find("title").textContent = words.drop
  find("more").textContent = words.drop_more
  find("files").textContent = words.choose_files
  find("folder").textContent = words.choose_folder
  zone.taken = () => { if (root.isConnected) setTriggerValue("done", hex()) }
  zone.draw = () => {
    root.classList.toggle("busy", Boolean(zone.now))
    find("bar").value = zone.progress?.share ?? 0
    const more = zone.queue.reduce((sum, one) => sum + one.list.length, 0)
    const next = more ? ` \u00b7 ${fill(words.upload_next, { n: more })}` : ""
    find("line").textContent = zone.now ? zone.progress.text + next : ""
    const of = (one) => notice(stopped(one, words), () => { forget(zone.project, one.batch); zone.draw() }, words)
    const left = remembered(zone.project).filter((one) => !ours.live.has(one.batch)).map(of)
    const clear = (text) => notice(text, () => { zone.said = zone.said.filter((one) => one !== text); zone.draw() }, words)
    find("notices").replaceChildren(...left, ...zone.said.map(clear))
  }
  find("files").onclick = () => find("pick-files").click()
  find("folder").onclick = () => find("pick-folder").click()
  for (const pick of ["pick-files", "pick-folder"])
    find(pick).onchange = (e) => {
      const list = [...e.target.files].map((file) => ({ file, name: file.webkitRelativePath || file.name }))
      e.target.value = ""  // else choosing the same files again, to go on, would be no change
      add(zone, list)
    }
  root.ondragover = (e) => { e.preventDefault(); root.classList.add("over") }
  root.ondragleave = () => root.classList.remove("over")
  root.ondrop = async (e) => {
    e.preventDefault()
    root.classList.remove("over")
    try {
      add(zone, await entries(e.dataTransfer.items))
    } catch (error) {
      say(zone, fill(zone.settings.words.drop_unreadable, { why: error.message }))
    }
  }
  // What had arrived when the page was left, and nobody had taken in.
  for (const one of remembered(zone.project))
    if (one.sent >= one.n && !one.why && !ours.live.has(one.batch)) settle(zone, one, async () => {})
  zone.draw()
}
