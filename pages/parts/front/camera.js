const PAUSES = [500, 1000, 2000, 4000, 8000]  // ms between tries after a lost connection, as the drop zone waits
const hex = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("")

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".camera")
  const [video, on, hold, line] = ["video", ".on", ".hold", ".line"].map((name) => root.querySelector(name))
  root.settings = data
  on.textContent = data.words.on
  hold.textContent = data.words.hold
  hold.disabled = !data.ready
  if (!root.burst) line.textContent = data.ready || video.hidden ? "" : data.words.no_class
  if (root.dataset.ready) return
  root.dataset.ready = "yes"

  on.onclick = async () => {
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: 1280 }, audio: false })
      await video.play()
      video.hidden = hold.hidden = false
      on.hidden = true
      line.textContent = root.settings.ready ? "" : root.settings.words.no_class
    } catch {
      line.textContent = root.settings.words.refused
    }
  }

  async function picture() {
    const scale = Math.min(1, root.settings.px / Math.max(video.videoWidth, video.videoHeight))
    const canvas = document.createElement("canvas")
    canvas.width = Math.round(video.videoWidth * scale)
    canvas.height = Math.round(video.videoHeight * scale)
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height)
    return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92))
  }

  // Sends one picture from the last byte that the server has, which it tells when it is asked for another.
  async function send(batch, number, blob) {
    const name = `camera ${batch.slice(0, 6)} ${String(number).padStart(3, "0")}.jpg`
    let offset = 0, tries = 0
    for (;;) {
      try {
        const query = new URLSearchParams({ offset, size: blob.size, name })
        const answer = await fetch(`/api/upload/${batch}/${number}?${query}`, { method: "PUT", body: blob.slice(offset) })
        const said = await answer.json()
        if (!answer.ok && answer.status !== 409) throw new Error(said.error)
        if (said.complete) return
        offset = said.offset
      } catch (error) {
        if (!(error instanceof TypeError) || tries >= PAUSES.length) throw error
        await new Promise((done) => setTimeout(done, PAUSES[tries++]))
      }
    }
  }

  async function begin() {
    if (root.burst || hold.disabled) return
    const burst = (root.burst = { batch: hex(), n: 0, on: true })
    hold.classList.add("busy")
    const sending = []
    while (burst.on && burst.n < root.settings.most && root.isConnected) {
      const next = new Promise((done) => setTimeout(done, root.settings.every))
      const blob = await picture()
      if (blob) sending.push(send(burst.batch, burst.n++, blob))
      line.textContent = `${burst.n} ${root.settings.words.taken}`
      await next
    }
    hold.classList.remove("busy")
    line.textContent = `${burst.n} ${root.settings.words.taken} ${root.settings.words.sending}`
    const ends = await Promise.allSettled(sending)
    const failed = ends.find((one) => one.status === "rejected")
    const n = ends.filter((one) => one.status === "fulfilled").length
    root.burst = null
    line.textContent = failed ? failed.reason.message : `${n} ${root.settings.words.taken}`
    if (n) setTriggerValue("done", { batch: burst.batch, n })  // what has arrived counts, whatever happened to the rest
  }
  const end = () => { if (root.burst) root.burst.on = false }

  hold.onpointerdown = (e) => { hold.setPointerCapture(e.pointerId); begin() }
  hold.onpointerup = hold.onpointercancel = hold.onblur = end
  hold.onkeydown = (e) => { if ([" ", "Enter"].includes(e.key)) { e.preventDefault(); if (!e.repeat) begin() } }
  hold.onkeyup = end
  return () => { end(); for (const track of video.srcObject?.getTracks() ?? []) track.stop() }
}
