// What an answer says, by the limits of `core/scores/thresholds.py`: their probability, and how far a picture may be.

// `answer` has the probabilities of the classes, in their order, and then the distance from the training pictures.
export function judge(answer, classes, { least, classes: ofClass, farthest }) {
  const scores = classes.map((label, i) => [label, answer[i]]).sort((a, b) => b[1] - a[1])
  const distance = answer[classes.length]
  const [label, probability] = scores[0]
  const needed = Object.hasOwn(ofClass, label) ? ofClass[label] : least
  const sure = probability >= needed ? "answer" : "unsure"
  return { scores, least: needed, verdict: farthest !== null && distance > farthest ? "unknown" : sure }
}
