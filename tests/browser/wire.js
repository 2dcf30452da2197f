// Logs what goes over the kernel's websocket in `window.wire`, for tests and benchmarks; runs before JupyterLab does.
// An entry is { time, sent, type, id, parent, data }: `parent` is the id of the request that a message answers, `data`
// the data of a widget's message. Figures are remembered by their base64 text in `window.figures`, with their parent.
(() => {
  window.wire = [];
  window.figures = new Map();
  const decoder = new TextDecoder();

  // Subprotocol v1.kernel.websocket.jupyter.org: the number of offsets, the offsets, then the parts one after the
  // other, of which the first five are channel, header, parent header, metadata and content.
  const log = (buffer, sent) => {
    if (!(buffer instanceof ArrayBuffer)) return;
    const time = performance.now();
    const numbers = new DataView(buffer);
    const offset = (index) => Number(numbers.getBigUint64(8 * (index + 1), true));
    const part = (index) =>
      JSON.parse(
        decoder.decode(new Uint8Array(buffer, offset(index), offset(index + 1) - offset(index))),
      );
    const { msg_id: id, msg_type: type } = part(1);
    const parent = part(2).msg_id;
    if (type === "comm_msg") window.wire.push({ time, sent, type, id, parent, data: part(4).data });
    if (type === "display_data") {
      const figure = part(4).data["image/png"];
      if (figure) window.figures.set(figure.trim(), parent);
      window.wire.push({ time, sent, type, id, parent });
    }
  };

  window.WebSocket = class extends WebSocket {
    constructor(...options) {
      super(...options);
      this.addEventListener("message", (event) => log(event.data, false));
    }

    send(message) {
      log(message, true);
      super.send(message);
    }
  };
})();
