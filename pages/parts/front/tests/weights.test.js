import assert from "node:assert/strict"
import { beforeEach, test } from "node:test"
import { live } from "../scripts/upload/tab.js"
import { onlyWeights, sendWeights } from "../scripts/upload/weights.js"

const words = new Proxy({}, { get: (_, name) => name })
const file = Object.assign(new Blob(["weights"]), { name: "mine.h5" })
const data = { project: "p", address: "weights", values: { backbone: "VGG16" }, chunk: 4, words }
let requests

function serve(last) {
  requests = []
  globalThis.fetch = async (address, { method, body }) => {
    const url = new URL(address, "http://here")
    requests.push([method, url.pathname, method === "POST" ? JSON.parse(body) : url.searchParams.get("offset")])
    if (method === "POST") return last()
    const offset = Number(url.searchParams.get("offset")) + body.size
    return new Response(JSON.stringify({ offset, complete: offset === file.size }))
  }
}

beforeEach(() => live.clear())

test("weights go piece by piece, and are checked when all has arrived", async () => {
  serve(() => new Response("{}"))
  const shares = []
  await sendWeights(file, data, (share) => {
    shares.push(share)
    assert.equal(live.size, 1) // so that leaving the page asks first
  })
  const [, path] = requests[0]
  const batch = path.split("/").at(-2)
  assert.deepEqual(requests, [
    ["PUT", path, "0"],
    ["PUT", path, "4"],
    ["POST", "/api/weights/p", { batch, backbone: "VGG16" }],
  ])
  assert.deepEqual(shares, [0, 4 / 7, 1])
  assert.equal(live.size, 0)
})

test("a refusal is thrown with its sentence, and nothing is on its way any more", async () => {
  serve(() => new Response(JSON.stringify({ error: "No weights.", hint: "Take others." }), { status: 422 }))
  await assert.rejects(
    sendWeights(file, data, () => {}),
    new Error("No weights. Take others."),
  )
  assert.equal(live.size, 0)
})

test("of a folder the only file with weights counts", () => {
  const files = ["config.json", "model.weights.h5", "._model.weights.h5"].map((name) => ({ name }))
  assert.equal(onlyWeights(files), files[1])
  assert.equal(onlyWeights([files[0]]), undefined)
  assert.equal(onlyWeights([files[1], { name: "other.H5" }]), undefined)
})
