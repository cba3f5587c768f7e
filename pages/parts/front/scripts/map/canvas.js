// Draws the same points on a plain canvas, for browsers without WebGL 2.
import { CHOSEN, CROSS, css } from "./colors.js"
import { onScreen } from "./view.js"

const EDGE = 9 // pixels: a point further outside is not seen

export function plain(canvas) {
  const pen = canvas.getContext("2d")
  return (scene, at) => {
    pen.setTransform(at.ratio, 0, 0, at.ratio, 0, 0)
    pen.clearRect(0, 0, at.w, at.h)
    pen.lineWidth = 2
    for (const i of scene.order) {
      const [x, y] = onScreen(scene.places, at, i)
      if (x < -EDGE || y < -EDGE || x > at.w + EDGE || y > at.h + EDGE) continue
      drawPoint(pen, scene, i, [x, y], at.size / 2)
    }
  }
}

function drawPoint(pen, scene, i, [x, y], half) {
  const [r, g, b, a] = scene.colors.subarray(4 * i, 4 * i + 4)
  pen.fillStyle = pen.strokeStyle = `rgb(${r} ${g} ${b} / ${a / 255})`
  if (scene.looks[i] & CROSS) drawCross(pen, x, y, 1.4 * half)
  else if (half < 3) pen.fillRect(x - half, y - half, 2 * half, 2 * half)
  else {
    circle(pen, x, y, half)
    pen.fill()
  }
  if (scene.looks[i] & CHOSEN) {
    pen.strokeStyle = css(scene.ink)
    circle(pen, x, y, 1.7 * half + 1)
    pen.stroke()
  }
}

function drawCross(pen, x, y, arm) {
  pen.beginPath()
  pen.moveTo(x - arm, y - arm)
  pen.lineTo(x + arm, y + arm)
  pen.moveTo(x + arm, y - arm)
  pen.lineTo(x - arm, y + arm)
  pen.stroke()
}

function circle(pen, x, y, radius) {
  pen.beginPath()
  pen.arc(x, y, radius, 0, 2 * Math.PI)
}
