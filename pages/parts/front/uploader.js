const PAUSES = [500, 1000, 2000, 4000, 8000]  // ms between tries after a lost connection
const LANES = 3  // files on their way at once; more do not fill a line better
const WINDOW = 5000  // ms of which the speed is the mean
const hex = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("")
const sleep = (ms) => new Promise((done) => setTimeout(done, ms))

// Short, as a tab has room for little; files that only seem to be the same are refused by the server.
function digest(text) {
  let sum = 7
  for (let i = 0; i < text.length; i++) sum = (Math.imul(sum, 31) + text.charCodeAt(i)) | 0
  return `${text.length} ${sum}`
}

async function entries(items) {
  const found = []
  async function walk(entry, path) {
    if (entry.isFile) {
      const file = await new Promise((done, fail) => entry.file(done, fail))
      found.push({ file, name: path + file.name })
    } else {
      const reader = entry.createReader()
      for (;;) {
        const some = await new Promise((done, fail) => reader.readEntries(done, fail))
        if (!some.length) break
        for (const child of some) await walk(child, path + entry.name + "/")
      }
    }
  }
  for (const entry of [...items].map((i) => i.webkitGetAsEntry && i.webkitGetAsEntry()).filter(Boolean))
    await walk(entry, "")
  return found
}

export default function ({ data, parentElement, setTriggerValue }) {
  const find = (name) => parentElement.querySelector("." + name)
  const zone = find("zone"), bar = find("bar"), line = find("line")
  zone.classList.toggle("slim", data.slim)
  find("title").textContent = data.words.drop
  find("more").textContent = data.words.drop_more
  find("files").textContent = data.words.choose_files
  find("folder").textContent = data.words.choose_folder
  if (zone.dataset.ready === data.batch) return
  zone.dataset.ready = data.batch
  // What of the batch is on the server, by names and sizes; the tab remembers while another page is looked at.
  let batch = data.batch, begun = sessionStorage.getItem(data.batch) ?? ""
  find("files").onclick = () => find("pick-files").click()
  find("folder").onclick = () => find("pick-folder").click()
  for (const pick of ["pick-files", "pick-folder"])
    find(pick).onchange = (e) => {
      const list = [...e.target.files].map((file) => ({ file, name: file.webkitRelativePath || file.name }))
      e.target.value = ""  // else choosing the same files again, to go on, would be no change
      send(list)
    }
  zone.ondragover = (e) => { e.preventDefault(); zone.classList.add("over") }
  zone.ondragleave = () => zone.classList.remove("over")
  zone.ondrop = async (e) => { e.preventDefault(); zone.classList.remove("over"); send(await entries(e.dataTransfer.items)) }

  // Sends one file from the last byte that the server has; after a lost connection it asks which one that is.
  async function sendFile(batch, number, { file, name }, moved) {
    const url = `/api/upload/${batch}/${number}`
    let offset = 0, tries = 0
    do {
      const query = new URLSearchParams({ offset, size: file.size, name })
      let said
      try {
        if (tries) offset = (await (await fetch(url)).json()).offset
        if (tries) query.set("offset", offset)
        const answer = await fetch(`${url}?${query}`, { method: "PUT", body: file.slice(offset, offset + data.chunk) })
        said = await answer.json()
        if (!answer.ok && answer.status !== 409) throw new Error([said.error, said.hint].filter(Boolean).join(" "))
      } catch (error) {
        if (!(error instanceof TypeError) || tries >= PAUSES.length) throw error
        line.textContent = data.words.upload_failed
        await sleep(PAUSES[tries++])
        continue
      }
      tries = 0
      offset = said.offset
      moved(number, offset)
      if (said.complete) break
    } while (true)
  }

  async function send(list) {
    if (!list.length || zone.classList.contains("busy")) return
    zone.classList.add("busy")
    zone.classList.remove("failed")
    // The same files go on where they stopped; others are another delivery, as the server knows files by number.
    const these = digest(JSON.stringify(list.map(({ file, name }) => [name, file.size])))
    if (begun && begun !== these) batch = hex()
    begun = these
    if (batch === data.batch) sessionStorage.setItem(batch, these)
    const ours = batch
    const total = list.reduce((sum, item) => sum + item.file.size, 0)
    const have = list.map(() => 0)
    let over = false, sent = 0, marks = [[performance.now(), 0]]
    const mb = (n) => (n / 1e6).toFixed(n < 1e7 ? 1 : 0)
    const moved = (number, offset) => {
      if (over) throw new Error("over")  // another lane has given up
      sent += offset - have[number]
      have[number] = offset
      const now = performance.now()
      marks.push([now, sent])
      while (marks.length > 2 && now - marks[0][0] > WINDOW) marks.shift()
      const rate = (sent - marks[0][1]) / Math.max((now - marks[0][0]) / 1000, 0.1)
      const left = rate > 0 ? Math.ceil((total - sent) / rate) : 0
      const time = left < 90 ? `${left} s` : `${Math.round(left / 60)} min`
      bar.value = total ? sent / total : 1
      line.textContent = `${data.words.uploading} ${mb(sent)} / ${mb(total)} MB, ${mb(rate)} MB/s, ${time} ${data.words.left}`
    }
    let next = 0
    const lane = async () => {
      while (next < list.length) {
        const number = next++
        await sendFile(ours, number, list[number], moved)
      }
    }
    try {
      await Promise.all(Array.from({ length: Math.min(LANES, list.length) }, lane))
      setTriggerValue("done", { batch: ours, files: list.length })
    } catch (error) {
      over = true
      next = list.length
      line.textContent = error instanceof TypeError ? data.words.upload_gave_up : error.message
      zone.classList.add("failed")
    }
    zone.classList.remove("busy")
  }
}
