// Takes a file with the weights of a backbone, a folder with one, or a model. Sending goes on while another part of the page is
// looked at.
import { attempt, drawProgress, idle } from "./upload/one_file.js"
import { randomId, warnBeforeLeaving } from "./upload/tab.js"
import { onlyWeights, sendWeights } from "./upload/weights.js"

const fields = {} // by project and what is asked for

warnBeforeLeaving()

export default function draw({ data, parentElement, setTriggerValue }) {
  const find = (name) => parentElement.querySelector(`.${name}`)
  const key = `${data.project} ${data.field}`
  fields[key] ??= idle()
  const field = fields[key]
  field.draw = () => drawField(find, field, data)
  field.done = () => {
    if (find("pick").isConnected) setTriggerValue("done", randomId())
  }
  const take = (file) => attempt(field, data.words, (show) => sendWeights(file, data, show))
  find("pick").onclick = () => find("file").click()
  find("pick-folder").onclick = () => find("folder").click()
  find("file").onchange = ({ target }) => {
    const [file] = target.files
    target.value = "" // else choosing the same file again would be no change
    if (file) take(file)
  }
  find("folder").onchange = ({ target }) => {
    const file = onlyWeights([...target.files])
    target.value = ""
    if (file) take(file)
    else {
      field.text = data.words.weights_none
      field.draw()
    }
  }
  field.draw()
}

function drawField(find, field, { words, disabled, accept, folders }) {
  find("pick").textContent = words.choose
  find("pick-folder").textContent = words.weights_folder
  find("pick-folder").hidden = !folders
  find("file").accept = accept
  for (const name of ["pick", "pick-folder"]) find(name).disabled = disabled || field.share !== null
  drawProgress(find, field)
}
