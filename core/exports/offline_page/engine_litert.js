// The engine of the web page that needs no Headstart: LiteRT.js answers in the browser, by the model beside the page.
import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core"
import { square } from "./pixels.js"
import { judge } from "./verdict.js"

export function open(front) {
  const { model, runtime, limits, texts } = front.facts
  self.Module = { printErr: console.debug } // LiteRT tells there what it finds, such as that there is no GPU
  const loading = loadLiteRt(runtime).then(() => loadAndCompile(model, { accelerator: "wasm" }))
  loading.catch(() => {}) // is told with the first picture

  async function ask(blob) {
    const network = await orSay(loading, "engine_missing")
    const start = performance.now()
    const pixels = await orSay(square(blob, front.size), "unreadable")
    const input = new Tensor(Float32Array.from(pixels), [1, front.size, front.size, 3])
    const [output] = await network.run(input)
    const answer = Array.from(await output.data()) // the probabilities, then the distance
    for (const tensor of [input, output]) tensor.delete()
    return { ...judge(answer, front.classes, limits), ms: performance.now() - start }
  }

  async function orSay(promise, text) {
    try {
      return await promise
    } catch (error) {
      throw new Error(texts[text], { cause: error })
    }
  }

  return { ask }
}
