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

  async function send(batch, number, blob) {
    const name = `camera ${batch.slice(0, 6)} ${String(number).padStart(3, "0")}.jpg`
    const query = new URLSearchParams({ offset: 0, size: blob.size, name })
    const answer = await fetch(`/api/upload/${batch}/${number}?${query}`, { method: "PUT", body: blob })
    if (!answer.ok) throw new Error((await answer.json()).error)
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
    const failed = (await Promise.allSettled(sending)).find((one) => one.status === "rejected")
    root.burst = null
    line.textContent = failed ? failed.reason.message : `${burst.n} ${root.settings.words.taken}`
    if (burst.n && !failed) setTriggerValue("done", { batch: burst.batch, n: burst.n })
  }
  const end = () => { if (root.burst) root.burst.on = false }

  hold.onpointerdown = (e) => { hold.setPointerCapture(e.pointerId); begin() }
  hold.onpointerup = hold.onpointercancel = hold.onblur = end
  hold.onkeydown = (e) => { if ([" ", "Enter"].includes(e.key)) { e.preventDefault(); if (!e.repeat) begin() } }
  hold.onkeyup = end
  return () => { end(); for (const track of video.srcObject?.getTracks() ?? []) track.stop() }
}
