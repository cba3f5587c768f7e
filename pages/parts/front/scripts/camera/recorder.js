// A camera that takes pictures for as long as a button is held, and sends each at once.
import { sendFile, takeIn } from "../upload/requests.js"
import { forget, live, randomId, remember } from "../upload/tab.js"

const KEPT = 8000 // ms for which a camera stays on when the page is drawn anew around it
const passing = { stream: null, off: 0 } // the camera that stays on, and the timer that ends it
const cameras = new WeakMap()

// The camera of an element, which is made once.
export function cameraOf(root) {
  if (!cameras.has(root)) cameras.set(root, new Camera(root))
  return cameras.get(root)
}

class Camera {
  constructor(root) {
    const [video, on, hold, line] = ["video", ".on", ".hold", ".line"].map((name) => root.querySelector(name))
    Object.assign(this, { root, video, on, hold, line, burst: null })
    on.onclick = () => this.turnOn()
    letHold(this)
  }

  // `settings`: project, words, px, every, most; `ready`, whether there is a class; `claim`, which answers the class of
  // a burst that begins; `done`, which is told that one has been sent.
  draw(settings) {
    const { on, hold, line, video } = this
    this.settings = settings
    on.textContent = settings.words.on
    hold.textContent = settings.words.hold
    hold.disabled = !settings.ready
    if (!this.burst) line.textContent = settings.ready || video.hidden ? "" : settings.words.no_class
  }

  async turnOn() {
    try {
      await this._show(await navigator.mediaDevices.getUserMedia({ video: { width: 1280 }, audio: false }))
    } catch {
      this.line.textContent = this.settings.words.refused
    }
  }

  // Goes on with the camera that the page had before it was drawn anew; answers whether there is one.
  goOn() {
    if (!passing.stream?.active) return false
    clearTimeout(passing.off)
    this._show(passing.stream).catch(() => {})
    passing.stream = null
    return true
  }

  turnOff() {
    this.end()
    stop(this.video.srcObject)
    this.video.srcObject = null
    this.video.hidden = this.hold.hidden = true
    this.on.hidden = false
    this.line.textContent = ""
  }

  // Stops to take pictures.
  end() {
    if (this.burst) this.burst.on = false
  }

  // The page is drawn anew, or left.
  leave() {
    this.end()
    const stream = this.video.srcObject
    if (stream) Object.assign(passing, { stream, off: setTimeout(() => stop(stream), KEPT) })
  }

  async _show(stream) {
    this.video.srcObject = stream
    await this.video.play()
    this.video.hidden = this.hold.hidden = false
    this.on.hidden = true
    this.line.textContent = this.settings.ready ? "" : this.settings.words.no_class
  }
}

const stop = (stream) => {
  for (const track of stream?.getTracks() ?? []) track.stop()
}

function letHold(camera) {
  const { hold } = camera
  const begin = () => {
    if (!camera.burst && !hold.disabled) takeBurst(camera)
  }
  const end = () => camera.end()
  hold.onpointerdown = (event) => {
    hold.setPointerCapture(event.pointerId)
    begin()
  }
  hold.onpointerup = hold.onpointercancel = hold.onblur = hold.onkeyup = end
  hold.onkeydown = (event) => {
    if (![" ", "Enter"].includes(event.key)) return
    event.preventDefault()
    if (!event.repeat) begin()
  }
}

async function takeBurst(camera) {
  const { hold, line } = camera
  const { project, words, claim } = camera.settings
  const record = { batch: randomId(), label: claim(), n: 0, sent: 0 } // the class that stood when it began
  live.add(record.batch)
  camera.burst = { n: 0, on: true }
  hold.classList.add("busy")
  const sending = await takePictures(camera, camera.burst, record)
  hold.classList.remove("busy")
  line.textContent = `${camera.burst.n} ${words.taken} ${words.sending}`
  const results = await Promise.allSettled(sending)
  camera.burst = null
  try {
    if (record.n) await takeIn(project, record, words)
    forget(project, record.batch)
    for (const { reason } of results) if (reason) throw reason
    line.textContent = `${record.n} ${words.taken}`
  } catch (error) {
    line.textContent = error instanceof TypeError ? words.upload_gave_up : error.message
  }
  live.delete(record.batch)
  if (record.n) camera.settings.done(record.batch)
}

// Takes pictures until the burst ends; answers the promises that each is sent.
async function takePictures({ root, video, line, settings }, burst, record) {
  const { words, every, most } = settings
  const sending = []
  while (burst.on && burst.n < most && root.isConnected) {
    const next = new Promise((done) => setTimeout(done, every))
    const blob = await picture(video, settings.px)
    if (blob) sending.push(sendPicture(settings, record, burst.n++, blob))
    line.textContent = `${burst.n} ${words.taken}`
    await next
  }
  return sending
}

async function sendPicture({ project, words }, record, number, file) {
  const name = `camera ${record.batch.slice(0, 6)} ${String(number).padStart(3, "0")}.jpg`
  const how = { chunk: file.size, begun: false, words, lost() {}, moved() {} }
  await sendFile(record.batch, number, { file, name }, how)
  record.n = ++record.sent // what has arrived counts, whatever happens to the rest
  remember(project, record)
}

function picture(video, px) {
  const scale = Math.min(1, px / Math.max(video.videoWidth, video.videoHeight))
  const canvas = document.createElement("canvas")
  canvas.width = Math.round(video.videoWidth * scale)
  canvas.height = Math.round(video.videoHeight * scale)
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height)
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92))
}
