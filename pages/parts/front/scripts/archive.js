// Takes the archive of a project. Sending goes on while another part of the page is looked at.
import { sendArchive } from "./upload/archives.js"
import { randomId, warnBeforeLeaving } from "./upload/tab.js"

const field = { share: null, text: "", draw() {}, done() {} } // what is sent now, or was refused last

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
  if (file) send(file, data)
}

function drawField(find, { words }) {
  find("pick").textContent = words.archive_choose
  find("pick").disabled = field.share !== null
  find("bar").hidden = field.share === null
  find("bar").value = field.share ?? 0
  find("line").textContent = field.text
}

async function send(file, data) {
  const show = (share, text) => {
    Object.assign(field, { share, text })
    field.draw()
  }
  try {
    await sendArchive(file, data, show)
    show(null, "")
    field.done()
  } catch (error) {
    show(null, error instanceof TypeError ? data.words.upload_gave_up : error.message)
  }
}
