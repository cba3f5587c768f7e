const KEPT = 8000  // ms for which a camera stays on when the page is drawn anew around it

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".camera")
  const [video, on, hold, line] = ["video", ".on", ".hold", ".line"].map((name) => root.querySelector(name))
  root.settings = data
  on.textContent = data.words.on
  hold.textContent = data.words.hold
  hold.disabled = !data.label
  if (!root.burst) line.textContent = data.label || video.hidden ? "" : data.words.no_class
  if (root.dataset.ready) return
  root.dataset.ready = "yes"

  async function show(stream) {
    video.srcObject = stream
    await video.play()
    video.hidden = hold.hidden = false
    on.hidden = true
    line.textContent = root.settings.label ? "" : root.settings.words.no_class
  }
  on.onclick = async () => {
    try {
      await show(await navigator.mediaDevices.getUserMedia({ video: { width: 1280 }, audio: false }))
    } catch {
      line.textContent = root.settings.words.refused
    }
  }
  if (ours.camera?.active) {
    clearTimeout(ours.off)
    show(ours.camera).catch(() => {})
    ours.camera = null
    document.querySelector(`.st-key-ways-${data.project}`)?.scrollIntoView({ block: "end" })  // where the page has it now
  }

  async function picture() {
    const scale = Math.min(1, root.settings.px / Math.max(video.videoWidth, video.videoHeight))
    const canvas = document.createElement("canvas")
    canvas.width = Math.round(video.videoWidth * scale)
    canvas.height = Math.round(video.videoHeight * scale)
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height)
    return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92))
  }

  async function begin() {
    if (root.burst || hold.disabled) return
    const { project, label, words, every, most } = root.settings  // the class is the one that stood when it began
    const record = { batch: hex(), label, n: 0, sent: 0 }
    const burst = (root.burst = { n: 0, on: true })
    ours.live.add(record.batch)
    hold.classList.add("busy")
    const send = async (number, blob) => {
      const name = `camera ${record.batch.slice(0, 6)} ${String(number).padStart(3, "0")}.jpg`
      const how = { chunk: blob.size, begun: false, words, lost() {}, moved() {} }
      await sendFile(record.batch, number, { file: blob, name }, how)
      record.n = ++record.sent  // what has arrived counts, whatever happens to the rest
      remember(project, record)
    }
    const sending = []
    while (burst.on && burst.n < most && root.isConnected) {
      const next = new Promise((done) => setTimeout(done, every))
      const blob = await picture()
      if (blob) sending.push(send(burst.n++, blob))
      line.textContent = `${burst.n} ${words.taken}`
      await next
    }
    hold.classList.remove("busy")
    line.textContent = `${burst.n} ${words.taken} ${words.sending}`
    const failed = (await Promise.allSettled(sending)).find((one) => one.status === "rejected")?.reason
    root.burst = null
    try {
      if (record.n) await takeIn(project, record, words, () => {})
      if (failed) throw failed
      line.textContent = `${record.n} ${words.taken}`
    } catch (error) {
      line.textContent = error instanceof TypeError ? words.upload_gave_up : error.message
    }
    ours.live.delete(record.batch)
    if (record.n && root.isConnected) setTriggerValue("done", record.batch)
  }
  const end = () => { if (root.burst) root.burst.on = false }

  hold.onpointerdown = (e) => { hold.setPointerCapture(e.pointerId); begin() }
  hold.onpointerup = hold.onpointercancel = hold.onblur = end
  hold.onkeydown = (e) => { if ([" ", "Enter"].includes(e.key)) { e.preventDefault(); if (!e.repeat) begin() } }
  hold.onkeyup = end
  return () => {
    end()
    const stream = (ours.camera = video.srcObject)
    ours.off = setTimeout(() => stream?.getTracks().forEach((track) => track.stop()), KEPT)
  }
}
