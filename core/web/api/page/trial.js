// The page to try the prediction API: sends the chosen pictures as any program would, and shows the answer as it came.
const main = document.querySelector("main")
const ids = "token key files heatmap state told maps"
const [token, key, files, heatmap, state, told, maps] = ids.split(" ").map((id) => document.getElementById(id))
const SHOWN = 60 // characters of a heat map's address

// The panel of a demo leads here with its token, which the server need not see.
token.value = location.hash.slice(1)

document.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault()
  const form = new FormData()
  for (const file of files.files) form.append("file", file)
  const path = main.dataset.path.replace("{token}", encodeURIComponent(token.value.trim()))
  const headers = key.value ? { Authorization: `Bearer ${key.value.trim()}` } : {}
  maps.replaceChildren()
  try {
    const asked = `${path}?heatmap=${Number(heatmap.checked)}`
    const answer = await fetch(asked, { method: "POST", body: form, headers })
    show(answer.status, await answer.json())
  } catch {
    state.textContent = main.dataset.unreached
    told.hidden = true
  }
})

function show(status, facts) {
  state.textContent = `HTTP ${status}`
  const short = (name, value) => (name === "heatmap" ? `${value.slice(0, SHOWN)}...` : value)
  told.textContent = JSON.stringify(facts, short, 2)
  told.hidden = false
  for (const each of facts.predictions ?? []) {
    if (!each.heatmap) continue
    const image = new Image()
    image.src = each.heatmap
    image.alt = `${maps.dataset.alt} ${each.file ?? ""}`.trim()
    maps.append(image)
  }
}
