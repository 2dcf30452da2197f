// The explorer before an audience: in the whole window, or on the whole screen where the browser allows it.

const ENLARGED = { width: 860, height: 550 }; // of what is enlarged as far as it fits, in px: all, with *Why?* open
const TURNS = { PageDown: 1, PageUp: -1 }; // the keys that presenters' clickers send

export class Stage {
  /** `places` returns what is shown one after the other: buttons, or radio buttons. */
  constructor(root, places, signal) {
    this.root = root;
    this.places = places;
    this.place = null; // the button that was pressed last
    this.on = false;
    this.fit = () => {
      const times = Math.min(innerWidth / ENLARGED.width, innerHeight / ENLARGED.height);
      root.style.zoom = this.on ? Math.max(1, times) : "";
      if (this.on) root.querySelector(":checked")?.scrollIntoView({ inline: "center" });
    };
    window.addEventListener("resize", this.fit, { signal });
    root.addEventListener("fullscreenchange", () => {
      if (!document.fullscreenElement) this.#set(false); // the browser has its own ways to leave
    });
  }

  async toggle() {
    const { root } = this;
    this.#set(!this.on);
    if (!this.on) {
      if (document.fullscreenElement) document.exitFullscreen();
      return;
    }
    try {
      await root.requestFullscreen();
    } catch {
      // Phones and some frames refuse it, maybe when it was left already.
      if (!this.on) return;
      root.popover = "manual";
      root.showPopover();
    }
  }

  /** Show the next place, or the one before; whether the key is one for that. */
  turn(key) {
    if (!this.on || !TURNS[key]) return false;
    const places = this.places();
    const now = places.findIndex((place) => place.checked ?? place === this.place);
    places.at((now + TURNS[key]) % places.length)?.click();
    return true;
  }

  #set(on) {
    this.on = on;
    this.root.classList.toggle("kit-stage", on);
    if (!on) this.root.popover = null;
    this.fit();
  }
}
