// The form: one picture, a question, options; asking and cancelling.

const byId = (id) => document.getElementById(id);
const LETTERED = /^\(?[A-Z][.):]\s/;
const MOST_OPTIONS = 26;

// The question with its options, each behind a letter unless all have one.
function questionText(question, lines) {
  const options = lines.split("\n").map((line) => line.trim()).filter(Boolean);
  if (!options.length) return question;
  if (options.length > MOST_OPTIONS) throw new Refused(0, `${MOST_OPTIONS} options are the most.`);
  const lettered = options.every((option) => LETTERED.test(option));
  const shown = lettered ? options : options.map((option, place) => `${String.fromCharCode(65 + place)}. ${option}`);
  return `${question}\nOptions:\n${shown.join("\n")}`;
}

function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Refused(0, "The picture can no longer be read; choose it again."));
    reader.readAsDataURL(file);
  });
}

// The picture that is asked about: dropped, pasted or chosen.
class Chosen {
  constructor(view, tell, isAsking) {
    Object.assign(this, { view, tell, isAsking });
    this.file = null;
    const drop = document.querySelector(".drop");
    const over = (on) => (event) => {
      event.preventDefault(); // else the browser leaves the page for the file
      drop.classList.toggle("over", on);
    };
    document.addEventListener("dragover", over(true));
    document.addEventListener("dragleave", over(false));
    document.addEventListener("drop", (event) => {
      over(false)(event);
      this.take(event.dataTransfer.files[0]);
    });
    document.addEventListener("paste", (event) => {
      if (event.clipboardData.files.length) this.take(event.clipboardData.files[0]);
    });
    byId("file").addEventListener("change", () => byId("file").files.length && this.take(byId("file").files[0]));
    byId("image").addEventListener("error", () => {
      byId("caption").textContent = "This browser cannot show the picture; the server may read it all the same.";
    });
  }

  take(file) {
    if (this.isAsking()) {
      this.tell("Wait for the answer, or cancel, before you choose another picture.");
      return;
    }
    if (!file || !file.type.startsWith("image/")) {
      this.tell("That is no picture.");
      return;
    }
    this.tell("");
    this.file = file;
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(file);
    this.view.clear();
    byId("caption").textContent = "";
    byId("image").src = this.url;
    byId("picture").hidden = false;
    byId("drop-words").textContent = `${file.name}. Drop, paste or choose another.`;
    document.querySelector(".drop").classList.add("filled");
  }
}

function listen() {
  const view = pictureWithBoxes(byId("picture"));
  const key = byId("key");
  const fields = [byId("question"), ...(key ? [key] : [])];
  let running = null;

  const tell = (sentence, field = null) => {
    byId("trouble").textContent = sentence;
    for (const one of fields) one.setAttribute("aria-invalid", one === field);
    if (field) field.focus();
  };
  const chosen = new Chosen(view, tell, () => running !== null);

  const busy = (on) => {
    byId("ask").disabled = on;
    byId("cancel").disabled = !on;
  };

  const ask = async () => {
    const question = byId("question").value.trim();
    if (!chosen.file) return tell("Choose a picture first.");
    if (!question) return tell("Write a question.", byId("question"));
    tell("");
    running = new AbortController();
    busy(true);
    const decision = new Decision(byId("decision"), view, byId("caption"), byId("state"));
    decision.say("Asked; waiting for the first step.");
    try {
      const text = questionText(question, byId("options").value);
      const picture = { type: "image_url", image_url: { url: await dataUrl(chosen.file) } };
      const messages = [{ role: "user", content: [picture, { type: "text", text }] }];
      const body = { model: document.body.dataset.model, messages, stream: true, speceyes: { trace: true } };
      await askServer(body, key ? key.value.trim() : "", running.signal, (chunk) => decision.tell(chunk));
    } catch (error) {
      if (error.name === "AbortError") decision.say("Cancelled.");
      else if (error instanceof Refused) {
        decision.say("");
        tell(error.message, error.status === 401 ? key : null);
      } else throw error;
    } finally {
      busy(false);
      running = null;
    }
  };

  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!running) ask();
  });
  byId("form").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("form").requestSubmit();
  });
  byId("cancel").addEventListener("click", () => running && running.abort());
}

listen();
