// Takes the archive of a project. Sending goes on while another part of the page is looked at.
import { sendArchive } from "./upload/archives.js"
import { attempt, drawProgress, idle } from "./upload/one_file.js"
import { randomId, warnBeforeLeaving } from "./upload/tab.js"

const field = idle()

warnBeforeLeaving()

export default function draw({ data, parentElement, setTriggerValue }) {
  const find = (name) => parentElement.querySelector(`.${name}`)
  field.draw = () => drawField(find, data)
  field.done = () => {
    if (find("pick").isConnected) setTriggerValue("done", randomId())
  }
  find("pick").onclick = () => find("file").click()
  find("file").onchange = ({ target }) => take(target, data)
  if (find("file").files.length) take(find("file"), data) // chosen before this script was there
  field.draw()
}

function take(picker, data) {
  const [file] = picker.files
  picker.value = "" // else choosing the same file again, to go on, would be no change
  if (file) attempt(field, data.words, (show) => sendArchive(file, data, show))
}

function drawField(find, { words }) {
  find("pick").textContent = words.archive_choose
  find("pick").disabled = field.share !== null
  drawProgress(find, field)
}
