// A page that was opened as a file may not load its modules. This script may, and says what to do.
if (location.protocol === "file:") {
  const { facts } = JSON.parse(document.getElementById("front").textContent)
  document.querySelector("main").textContent = facts.texts.as_file
}
