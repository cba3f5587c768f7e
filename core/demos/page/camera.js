// The camera: one picture that is taken with a button, or answers while it moves. The next frame is asked about only when
// the answer to the last one is there, so that a slow network falls behind in nothing.
import { at } from "./elements.js"

const QUALITY = 0.9
const RATE_OVER_MS = 2000

export const hasCamera = () => Boolean(navigator.mediaDevices?.getUserMedia)

// A camera that is on until `stop`; null, and it is off, if by then `goesOn()` is false. Throws where the visitor does not
// allow it.
export async function openCamera(goesOn) {
  const video = at("video")
  const wanted = { video: { facingMode: { ideal: "environment" }, width: { ideal: 1280 } }, audio: false }
  const stream = await navigator.mediaDevices.getUserMedia(wanted)
  const stop = () => {
    for (const track of stream.getTracks()) track.stop()
    if (video.srcObject === stream) video.srcObject = null
  }
  try {
    if (goesOn()) {
      video.srcObject = stream
      await video.play()
    }
  } catch (error) {
    stop()
    throw error
  }
  if (!goesOn()) {
    stop()
    return null
  }
  return {
    picture: () => grab(video, video.videoWidth, video.videoHeight),
    // The middle square, as the network sees a picture.
    frame: (size) => grab(video, size, size),
    stop,
  }
}

function grab(video, width, height) {
  const canvas = new OffscreenCanvas(width, height)
  const share = Math.max(width / video.videoWidth, height / video.videoHeight)
  const [w, h] = [video.videoWidth * share, video.videoHeight * share]
  canvas.getContext("2d").drawImage(video, (width - w) / 2, (height - h) / 2, w, h)
  return canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY })
}

// Asks about frame after frame while `goesOn()`; `show(answer, rate)` gets each answer, and how many there are a second.
export async function answerLive(camera, engine, size, goesOn, show) {
  const times = []
  while (goesOn()) {
    const answer = await engine.ask(await camera.frame(size), { live: true })
    if (!goesOn()) return
    const now = performance.now()
    times.push(now)
    while (now - times[0] > RATE_OVER_MS) times.shift()
    const rate = times.length > 1 ? ((times.length - 1) * 1000) / (now - times[0]) : 0
    show(answer, rate)
    // A tab that nobody sees asks nothing.
    await new Promise((resolve) => requestAnimationFrame(resolve))
  }
}
