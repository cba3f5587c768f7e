const PAUSES = [500, 1000, 2000, 4000, 8000]  // ms between tries after a lost connection
const sleep = (ms) => new Promise((done) => setTimeout(done, ms))

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
  find("files").onclick = () => find("pick-files").click()
  find("folder").onclick = () => find("pick-folder").click()
  find("pick-files").onchange = (e) => send([...e.target.files].map((file) => ({ file, name: file.name })))
  find("pick-folder").onchange = (e) =>
    send([...e.target.files].map((file) => ({ file, name: file.webkitRelativePath || file.name })))
  zone.ondragover = (e) => { e.preventDefault(); zone.classList.add("over") }
  zone.ondragleave = () => zone.classList.remove("over")
  zone.ondrop = async (e) => { e.preventDefault(); zone.classList.remove("over"); send(await entries(e.dataTransfer.items)) }

  async function put(url, body) {
    for (let tries = 0; ; tries++) {
      try {
        return await fetch(url, { method: "PUT", body })
      } catch (error) {
        if (tries >= PAUSES.length) throw error
        line.textContent = data.words.upload_failed
        await sleep(PAUSES[tries])
      }
    }
  }

  async function send(list) {
    if (!list.length || zone.classList.contains("busy")) return
    zone.classList.add("busy")
    const total = list.reduce((sum, item) => sum + item.file.size, 0)
    let sent = 0
    const started = performance.now()
    const show = () => {
      bar.value = total ? sent / total : 1
      const seconds = (performance.now() - started) / 1000
      const rate = sent / Math.max(seconds, 0.1)
      const left = rate ? Math.ceil((total - sent) / rate) : 0
      const mb = (n) => (n / 1e6).toFixed(n < 1e7 ? 1 : 0)
      line.textContent = `${data.words.uploading} ${mb(sent)} / ${mb(total)} MB, ${mb(rate)} MB/s, ${left} s ${data.words.left}`
    }
    try {
      for (let number = 0; number < list.length; number++) {
        const { file, name } = list[number]
        let offset = 0
        do {
          const query = new URLSearchParams({ offset, size: file.size, name })
          const answer = await put(`/api/upload/${data.batch}/${number}?${query}`, file.slice(offset, offset + data.chunk))
          const said = await answer.json()
          if (!answer.ok && answer.status !== 409) throw new Error([said.error, said.hint].filter(Boolean).join(" "))
          sent += said.offset - offset
          offset = said.offset
          show()
        } while (offset < file.size)
      }
      setTriggerValue("done", { batch: data.batch, files: list.length })
    } catch (error) {
      line.textContent = error instanceof TypeError ? data.words.upload_gave_up : error.message
      zone.classList.add("failed")
    }
    zone.classList.remove("busy")
  }
}
