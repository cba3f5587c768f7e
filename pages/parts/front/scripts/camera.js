// Takes pictures of one class, which the page names, for as long as a button is held.
import { cameraOf } from "./camera/recorder.js"
import { warnBeforeLeaving } from "./upload/tab.js"

warnBeforeLeaving()

export default function draw({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".camera")
  const camera = cameraOf(root)
  const done = (batch) => {
    if (root.isConnected) setTriggerValue("done", batch)
  }
  camera.draw({ ...data, ready: Boolean(data.label), claim: () => data.label, done })
  if (!root.dataset.ready) {
    root.dataset.ready = "yes"
    // Where the page has it now.
    if (camera.goOn()) document.querySelector(`.st-key-ways-${data.project}`)?.scrollIntoView({ block: "end" })
  }
  return () => camera.leave()
}
