// The page of a demo: where pictures come from, who answers, and where the answer stands.
import { alternative, drawAnswer, drawWaiting } from "./answer.js"
import { answerLive, hasCamera, openCamera } from "./camera.js"
import { offerCorrection } from "./correction.js"
import { at } from "./elements.js"
import { offerHeatMap } from "./heat_map.js"
import { offerExamples, offerFiles } from "./sources.js"
import { wordsOf } from "./words.js"

const front = JSON.parse(at("front").textContent)
const words = wordsOf(front)
const engine = await (await import(`./${front.engine}.js`)).open(front)
const heatMap = offerHeatMap(engine, words, fail)
const correction = offerCorrection(front, engine, words, fail)
let camera = null
let turn = 0 // rises with every new picture: a late answer to an earlier one is not shown

function fail(error) {
  at("error").textContent = error.message
  at("error").hidden = false
}

function show({ picture = false, video = false, shutter = false }) {
  at("stage").hidden = false
  for (const [id, shown] of Object.entries({ picture, video, shutter })) at(id).hidden = !shown
  at("more").hidden = true
  at("error").hidden = true
  at("sent").hidden = true
  at("answer").replaceChildren()
  heatMap(null)
}

// Asks about one picture; `label` is what an example is known to show.
async function ask(blob, name, label = "") {
  closeCamera()
  turn += 1
  const mine = turn
  show({ picture: true })
  URL.revokeObjectURL(at("picture").src)
  Object.assign(at("picture"), { src: URL.createObjectURL(blob), alt: name })
  at("answer").setAttribute("aria-live", "polite")
  drawWaiting(words)
  try {
    const answer = await engine.ask(blob, { live: false })
    if (mine !== turn) return
    const known = label ? ` \u00b7 ${words.fill("demo_from", { label })}` : ""
    drawAnswer(answer, front, words, words.fill("time", { ms: Math.round(answer.ms) }) + known)
    at("stage").scrollIntoView({ block: "start" })
    at("picture").alt = alternative(name, answer, words)
    heatMap(blob)
    correction(blob, answer.verdict === "answer" ? answer.scores[0][0] : "")
    at("why").hidden = !front.explains
    const wanted = front.takes_words && !label // what an example shows is known: the owner said so
    at("wrong").hidden = !wanted
    at("more").hidden = !(front.explains || wanted)
  } catch (error) {
    if (mine !== turn) return
    at("answer").replaceChildren()
    at("picture").hidden = true // what cannot be read is not shown as a broken picture
    fail(error)
  }
}

function closeCamera() {
  camera?.stop()
  camera = null
  at("live").setAttribute("aria-pressed", "false")
}

async function startCamera(live) {
  closeCamera()
  turn += 1
  const mine = turn
  show({ video: true })
  let opened = null
  try {
    opened = await openCamera(() => mine === turn)
  } catch {
    if (mine !== turn) return
    show({})
    return fail(new Error(words.fill("camera_denied")))
  }
  if (!opened) return
  camera = opened
  at("shutter").hidden = false // only now there is something to take
  if (live) await answerWhileOn(mine)
}

async function answerWhileOn(mine) {
  at("live").setAttribute("aria-pressed", "true")
  // Ten answers a second cannot be listened to: what is on is said once.
  at("answer").setAttribute("aria-live", "off")
  at("sent").textContent = words.fill("now_live")
  at("sent").hidden = false
  let isFirst = true
  const follow = (answer, rate) => {
    drawAnswer(answer, front, words, words.fill("live_rate", { rate: words.decimal(rate) }))
    if (isFirst) at("stage").scrollIntoView({ block: "start" }) // only now it is as high as it will be
    isFirst = false
  }
  try {
    await answerLive(camera, engine, front.size, () => camera !== null && mine === turn, follow)
  } catch (error) {
    if (mine !== turn) return
    closeCamera()
    show({})
    fail(error)
  }
}

at("ways").setAttribute("aria-label", words.fill("ways"))
for (const id of ["camera", "live", "take", "close"]) at(id).textContent = words.fill(id)
offerFiles(words, ask)
offerExamples(front, words, ask)
at("camera").onclick = () => {
  if (hasCamera()) startCamera(false)
  else at("capture").click() // a phone without https still has the camera of its own
}
at("live").hidden = !hasCamera()
at("live").onclick = () => {
  if (at("live").getAttribute("aria-pressed") === "true") stop()
  else startCamera(true)
}
at("secure").hidden = hasCamera()
at("secure").textContent = words.fill("camera_secure")
at("take").onclick = async () => ask(await camera.picture(), words.fill("demo_shot"))
at("close").onclick = stop
if (front.logo) Object.assign(at("logo"), { src: front.logo, alt: words.fill("logo"), hidden: false })
at("words").hidden = !front.words

function stop() {
  turn += 1
  closeCamera()
  at("stage").hidden = true
}

// The camera does not stay on behind another page.
addEventListener("pagehide", () => {
  if (!at("video").hidden) stop()
})
