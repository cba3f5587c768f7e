// Bytes of a picture -> the pixels that a network sees, decoded by the browser.
import { isTall, reduce, reduction, resize, span, weigh } from "./resize.js"

// The central square of a picture: size x size, red, green and blue from 0 to 255. Throws where the browser cannot read
// the picture.
export async function square(blob, size) {
  const bitmap = await createImageBitmap(blob) // upright
  const factor = (await isJpeg(blob)) ? reduction(bitmap.width, bitmap.height, size) : 1
  const [width, height] = [Math.ceil(bitmap.width / factor), Math.ceil(bitmap.height / factor)]
  const side = Math.min(width, height)
  const [columns, rows] = [weigh(width, side, size), weigh(height, side, size)]
  const [[left, right], [top, bottom]] = [columns, rows].map(span)
  // Only what counts is drawn: some browsers have no canvas of more than 16 megapixels.
  const canvas = new OffscreenCanvas(
    Math.min(right * factor, bitmap.width) - left * factor,
    Math.min(bottom * factor, bitmap.height) - top * factor,
  )
  const context = canvas.getContext("2d", { willReadFrequently: true })
  context.fillStyle = "#fff"
  context.fillRect(0, 0, canvas.width, canvas.height)
  context.drawImage(bitmap, -left * factor, -top * factor)
  bitmap.close()
  const seen = reduce(context.getImageData(0, 0, canvas.width, canvas.height), factor)
  return resize(seen, columns, rows, isTall(width, height, size)).pixels
}

async function isJpeg(blob) {
  const [first, second] = new Uint8Array(await blob.slice(0, 2).arrayBuffer())
  return first === 0xff && second === 0xd8
}
