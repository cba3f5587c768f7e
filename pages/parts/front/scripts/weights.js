// Takes a file with the weights of a backbone, or a folder with one. Sending goes on while another part of the page is looked at.
import { randomId, warnBeforeLeaving } from "./upload/tab.js"
import { onlyWeights, sendWeights } from "./upload/weights.js"

const fields = {} // by project and backbone: what is sent now, or was refused last

warnBeforeLeaving()

export default function draw({ data, parentElement, setTriggerValue }) {
  const find = (name) => parentElement.querySelector(`.${name}`)
  const key = `${data.project} ${data.backbone}`
  fields[key] ??= { share: null, text: "" }
  const field = fields[key]
  field.draw = () => drawField(find, field, data)
  field.done = () => {
    if (find("pick").isConnected) setTriggerValue("done", randomId())
  }
  find("pick").onclick = () => find("file").click()
  find("pick-folder").onclick = () => find("folder").click()
  find("file").onchange = ({ target }) => {
    const [file] = target.files
    target.value = "" // else choosing the same file again would be no change
    if (file) send(field, file, data)
  }
  find("folder").onchange = ({ target }) => {
    const file = onlyWeights([...target.files])
    target.value = ""
    if (file) send(field, file, data)
    else {
      field.text = data.words.weights_none
      field.draw()
    }
  }
  field.draw()
}

function drawField(find, { share, text }, { words, disabled }) {
  find("pick").textContent = words.weights_use
  find("pick-folder").textContent = words.weights_folder
  for (const name of ["pick", "pick-folder"]) find(name).disabled = disabled || share !== null
  find("bar").hidden = share === null
  find("bar").value = share ?? 0
  find("line").textContent = text
}

async function send(field, file, data) {
  const show = (share, text) => {
    Object.assign(field, { share, text })
    field.draw()
  }
  try {
    await sendWeights(file, data, show)
    show(null, "")
    field.done()
  } catch (error) {
    show(null, error instanceof TypeError ? data.words.upload_gave_up : error.message)
  }
}
