// Takes pictures of one class for as long as a button is held, and sends each at once.
import { sendFile, takeIn } from "./upload/requests.js"
import { forget, live, randomId, remember, warnBeforeLeaving } from "./upload/tab.js"

const KEPT = 8000 // ms for which a camera stays on when the page is drawn anew around it
const passing = { stream: null, off: 0 } // the camera that stays on, and the timer that ends it

warnBeforeLeaving()

export default function draw({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".camera")
  const [video, on, hold, line] = ["video", ".on", ".hold", ".line"].map((name) => root.querySelector(name))
  const { words } = data
  root.settings = data
  on.textContent = words.on
  hold.textContent = words.hold
  hold.disabled = !data.label
  if (!root.burst) line.textContent = data.label || video.hidden ? "" : words.no_class
  if (root.dataset.ready) return
  root.dataset.ready = "yes"
  const camera = { root, video, on, hold, line, done: (batch) => setTriggerValue("done", batch) }
  letSwitchOn(camera)
  letHold(camera)
  return () => leave(camera)
}

function letSwitchOn({ root, video, on, hold, line }) {
  const show = async (stream) => {
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
  if (!passing.stream?.active) return
  clearTimeout(passing.off)
  show(passing.stream).catch(() => {})
  passing.stream = null
  // Where the page has it now.
  document.querySelector(`.st-key-ways-${root.settings.project}`)?.scrollIntoView({ block: "end" })
}

function letHold(camera) {
  const { hold } = camera
  const begin = () => {
    if (!camera.root.burst && !hold.disabled) takeBurst(camera)
  }
  const stop = () => end(camera)
  hold.onpointerdown = (event) => {
    hold.setPointerCapture(event.pointerId)
    begin()
  }
  hold.onpointerup = hold.onpointercancel = hold.onblur = hold.onkeyup = stop
  hold.onkeydown = (event) => {
    if (![" ", "Enter"].includes(event.key)) return
    event.preventDefault()
    if (!event.repeat) begin()
  }
}

function end({ root }) {
  if (root.burst) root.burst.on = false
}

function leave(camera) {
  end(camera)
  const stream = camera.video.srcObject
  const off = () => {
    for (const track of stream?.getTracks() ?? []) track.stop()
  }
  Object.assign(passing, { stream, off: setTimeout(off, KEPT) })
}

async function takeBurst(camera) {
  const { root, hold, line } = camera
  const { project, label, words } = root.settings // the class is the one that stood when it began
  const record = { batch: randomId(), label, n: 0, sent: 0 }
  live.add(record.batch)
  root.burst = { n: 0, on: true }
  hold.classList.add("busy")
  const sending = await takePictures(camera, root.burst, record)
  hold.classList.remove("busy")
  line.textContent = `${root.burst.n} ${words.taken} ${words.sending}`
  const results = await Promise.allSettled(sending)
  root.burst = null
  try {
    if (record.n) await takeIn(project, record, words)
    forget(project, record.batch)
    for (const { reason } of results) if (reason) throw reason
    line.textContent = `${record.n} ${words.taken}`
  } catch (error) {
    line.textContent = error instanceof TypeError ? words.upload_gave_up : error.message
  }
  live.delete(record.batch)
  if (record.n && root.isConnected) camera.done(record.batch)
}

// Takes pictures until the burst ends; answers the promises that each is sent.
async function takePictures({ root, video, line }, burst, record) {
  const { words, every, most } = root.settings
  const sending = []
  while (burst.on && burst.n < most && root.isConnected) {
    const next = new Promise((done) => setTimeout(done, every))
    const blob = await picture(video, root.settings.px)
    if (blob) sending.push(sendPicture(root.settings, record, burst.n++, blob))
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
