// What the page and the kernel say to each other, without a page: events go in with the time, effects come out.
//
// One request is under way at a time and the newest state waits, so a drag never builds a backlog. While no hand
// moves, the answers along the slider under the pointer are fetched ahead, and a hand that comes there sees them in
// the next frame. A kernel that is gone or silent is told as lost, and nothing is shown as an answer until it is back.

// Effects are methods of the view with their values: `post` a message for the kernel; `news` an answer { content,
// buffers }; `adopted` settings that controls have to take on; `fail` what went wrong, and whether the bars are no
// answer any more; `lose` why nothing can be asked for now; `find` it has answered again; `draw` a hand has come to rest.

const LOST_MS = 10_000; // a kernel that keeps silent for longer is taken for lost
const SLOW_MS = 500; // answers ahead that take longer, by the line or the network, would keep a hand waiting
const RESTING_MS = 150; // silence after which a hand is taken for resting
const SYNC_MS = 250; // while the page shows what it knows already, the kernel hears of the settings this often
const FIRST_MS = 1_000; // the greeting is repeated after this time without a reply, then after twice as long, …
const AHEAD_PLACES = 24; // asked for at a time; the kernel answers as many as it can without keeping a hand waiting
const NEVER = Infinity;

export const GONE = "The kernel was restarted or stopped. Run all cells up to this one.";
export const SILENT = `No answer for ${LOST_MS / 1000} seconds. If the kernel is still computing, this goes on by itself; if it was restarted or stopped, run all cells up to this one.`;
export const BARE =
  "This page cannot pass images to widgets. Open the notebook in JupyterLab, Notebook or VS Code.";
export const CUT =
  "The connection to the kernel is broken. This goes on by itself once it is back.";

const areaOf = (size) => (size ? size.width * size.height : 0);

export class Exchange {
  /** `ahead`: keys of sliders, at most so many places and bytes; `around(key, value, most)`: the nearest places;
   * `live()`: whether the page may look ahead, since it paints the photograph itself and people see it. */
  constructor(prefix, ahead, around, live) {
    this.prefix = prefix; // of the numbers of requests, another one for each view
    this.ahead = ahead;
    this.around = around;
    this.live = live;
    this.settings = {};
    this.lost = "";
    this.moving = false;
    this.inFlight = null;
    this.waiting = false;
    this.requests = 0;
    this.changes = 0; // counts what the hand did, so that an answer never takes the place of a newer one
    this.shown = 0;
    this.inputBytes = 1; // size of what the network sees
    this.known = { key: null, asked: null, context: "", answers: new Map() };
    this.at = { reply: NEVER, rest: NEVER, sync: NEVER, greet: NEVER, ahead: NEVER };
    this.greetings = 0;
    this.effects = [];
  }

  /** Whether what is shown, or will be in the next frame, is the answer to the settings. */
  get idle() {
    return !this.inFlight && this.at.sync === NEVER;
  }

  /** The next time at which `tick` has something to do. */
  get due() {
    return Math.min(...Object.values(this.at));
  }

  after(now, event, ...values) {
    this.now = now;
    this[event](...values);
    this.#lookAhead();
    return this.effects.splice(0);
  }

  // -- events

  greetUntilHeard() {
    this.greetings = 0;
    this.#greet();
  }

  /** A hand has changed the settings. */
  changed(settings) {
    this.settings = settings;
    this.changes += 1;
    if (this.live()) this.#keepKnown(); // else this is a look at another state, to come back from
    this.moving = true;
    this.at.rest = this.now + RESTING_MS;
    const answer = this.known.answers.get(JSON.stringify(settings));
    if (!answer) {
      this.#request();
      return;
    }
    this.waiting = false;
    if (this.at.sync === NEVER) this.at.sync = this.now + SYNC_MS;
    this.#show(answer, this.changes);
  }

  /** Settings with pixels of their own, which are left out while a request is under way. */
  framed(settings, content, buffers) {
    if (this.lost || this.inFlight) return;
    this.settings = settings;
    this.changes += 1;
    this.known.answers = new Map(); // those that are still to come are for another frame
    this.#send(content, buffers);
  }

  /** The pointer or the focus is at a slider. */
  near(key) {
    this.known.key = this.ahead.keys.includes(key) ? key : null;
  }

  /** An answer has come, to this view or to another. */
  answered(content, buffers) {
    this.#heard();
    const flight = this.inFlight;
    if (flight && content.request === flight.id) {
      // What was known ahead is shown already.
      if (flight.change > this.shown || buffers.length > 1)
        this.#show({ content, buffers }, flight.change);
      this.#landed();
      return;
    }
    // What this page has sent, or is about to, is newer and comes back too; but a photograph comes once.
    if (!this.idle && buffers.length < 2) return;
    this.#show({ content, buffers }, this.changes);
    if (!this.idle) {
      this.shown = this.changes - 1; // the answer to the page's own settings takes its place
      return;
    }
    this.settings = { ...content.settings };
    this.#keepKnown();
    this.effects.push(["adopted", this.settings]);
  }

  /** The host says that the kernel begins with a message of this page, which it answers however late, or is done with it. */
  served(request, begins) {
    const { asked } = this.known;
    if (begins && request === asked?.id) asked.begun = this.now;
    if (request === `${this.prefix}.hello` && this.at.greet !== NEVER)
      this.at.greet = this.now + (begins ? 10 * LOST_MS : FIRST_MS);
    if (this.inFlight)
      this.at.reply = begins && request === this.inFlight.id ? NEVER : this.now + LOST_MS;
  }

  failed(content) {
    this.#heardAside();
    if (content.request === this.known.asked?.id) {
      this.known.key = null; // if it matters, it shows when a hand comes there
      this.#forgetAsked();
      return;
    }
    const own = content.request === this.inFlight?.id;
    this.effects.push(["fail", content.text, own || content.request === ""]);
    if (own) this.#landed();
  }

  foreseen(content, [pixels]) {
    this.#heardAside();
    const { asked } = this.known;
    if (content.request !== asked?.id) return;
    if (this.now - asked.begun > SLOW_MS) this.ahead = { ...this.ahead, bytes: 0 };
    let offset = pixels.byteOffset;
    content.views.forEach((view, index) => {
      const length = 3 * areaOf(view.input) + 4 * areaOf(view.where);
      const buffers = [new DataView(pixels.buffer, offset, length)];
      asked.answers.set(asked.settings[index], { content: view, buffers });
      offset += length;
    });
    this.#forgetAsked();
  }

  tick() {
    if (this.now >= this.at.reply) this.lose(SILENT);
    if (this.now >= this.at.ahead) this.#forgetAsked();
    if (this.now >= this.at.greet) {
      this.greetings += 1;
      this.#greet();
    }
    if (this.now >= this.at.sync) {
      this.at.sync = NEVER;
      this.#request();
    }
    if (this.now >= this.at.rest) {
      this.at.rest = NEVER;
      this.moving = false;
      this.effects.push(["draw"]);
    }
  }

  /** Nothing can be asked any more, or for the time being. */
  lose(reason) {
    this.waiting ||= this.at.sync !== NEVER; // what a hand has set is told once the kernel is heard again
    Object.assign(this, { inFlight: null, moving: false, greetings: 0 });
    Object.assign(this.known, { asked: null, answers: new Map() });
    Object.assign(this.at, { reply: NEVER, rest: NEVER, sync: NEVER, ahead: NEVER, greet: NEVER });
    if (reason === SILENT) this.at.greet = this.now + FIRST_MS; // one that is merely busy answers it in the end
    this.lost = reason;
    this.effects.push(["lose", reason]);
  }

  /** The host says that the connection is broken, or has come back. */
  connected(yes) {
    if (this.lost === GONE) return;
    if (!yes) this.lose(CUT);
    else if (this.lost) this.greetUntilHeard();
  }

  // -- what they share

  #greet() {
    this.at.greet = this.now + FIRST_MS * 2 ** this.greetings;
    this.effects.push(["post", { kind: "hello", request: `${this.prefix}.hello` }, []]);
  }

  #show(answer, change) {
    if (change < this.shown) return;
    this.shown = change;
    this.inputBytes = 3 * areaOf(answer.content.input);
    this.effects.push(["news", answer]);
  }

  #request() {
    if (this.inFlight || this.lost) this.waiting = true;
    else this.#send({ kind: "settings" }, []);
  }

  #send(content, buffers) {
    this.waiting = false;
    this.at.sync = NEVER;
    this.requests += 1;
    const id = `${this.prefix}.${this.requests}`;
    this.inFlight = { id, change: this.changes };
    this.at.reply = this.now + LOST_MS;
    this.effects.push(["post", { ...content, request: id, settings: this.settings }, buffers]);
  }

  #landed() {
    this.inFlight = null;
    this.at.reply = NEVER;
    if (this.waiting) this.#send({ kind: "settings" }, []);
  }

  #heard() {
    this.at.greet = NEVER;
    this.greetings = 0;
    if (!this.lost) return;
    this.lost = "";
    this.effects.push(["find"]);
    if (this.waiting) this.#request();
  }

  /** What has come tells nothing of the settings that a kernel has which was lost. */
  #heardAside() {
    const { lost } = this;
    this.#heard();
    if (lost) this.greetUntilHeard();
  }

  #forgetAsked() {
    this.known.asked = null;
    this.at.ahead = NEVER;
  }

  /** Keep what is known as long as only sliders move for which answers are fetched. */
  #keepKnown() {
    const sliders = Object.fromEntries(this.ahead.keys.map((key) => [key, null]));
    const context = JSON.stringify({ ...this.settings, ...sliders });
    if (context !== this.known.context) this.known.answers = new Map();
    this.known.context = context;
  }

  #lookAhead() {
    const { key } = this.known;
    if (!key || this.known.asked || this.lost || !this.live() || this.moving || !this.idle) return;
    const at = (place) => JSON.stringify({ ...this.settings, [key]: place });
    this.#keepKnown();
    const { answers } = this.known;
    const most = Math.min(this.ahead.places, Math.floor(this.ahead.bytes / this.inputBytes));
    const around = this.around(key, this.settings[key], most);
    const kept = new Set(around.map(at));
    for (const settings of answers.keys()) if (!kept.has(settings)) answers.delete(settings);
    const places = around.filter((place) => !answers.has(at(place))).slice(0, AHEAD_PLACES);
    if (places.length === 0) return;
    this.requests += 1;
    const id = `${this.prefix}.${this.requests}`;
    this.known.asked = { id, settings: places.map(at), answers };
    this.at.ahead = this.now + LOST_MS;
    const content = { kind: "ahead", request: id, settings: this.settings, key, places };
    this.effects.push(["post", content, []]);
  }
}
