// Tiles through the widget's own connection (a Jupyter comm), which works wherever widgets do: behind a proxy, in a remote kernel, in an editor.
//
// page -> kernel  {id, kind: "info", uid}, {id, kind: "tiles", tiles: [id]}: answered with the same id
//                 {kind: "waiting", page, tiles: {id: what is shown}}: the tiles that this page draws unfinished
// kernel -> page  {id, answer} or {id, error};  {kind: "tiles", tiles: {id: tile}}: what has become better of those that wait

/** The type of data source that HiGlass asks for tiles of a notebook. */
export const TYPE = "orca-cool";

const channels = new Map(); // name -> Channel

/** The connection of one drawn map to its kernel. `onTiles` is told of the ids of tiles that came unasked, `onAnswer` of answers with tiles. */
export class Channel {
  constructor(model, { onTiles, onAnswer }) {
    this.model = model;
    this.name = `notebook-${Math.random()}`;
    this.asked = new Map(); // id of a question -> what becomes of it
    this.pushed = new Map(); // id of a tile that came unasked -> tile
    this.receive = (message) => {
      if (message.kind === "tiles") {
        for (const [id, tile] of Object.entries(message.tiles)) this.pushed.set(id, tile);
        onTiles(Object.keys(message.tiles));
        return;
      }
      const question = this.asked.get(message.id);
      if (!question) return; // of another drawing of the same map
      this.asked.delete(message.id);
      if (message.error) question.reject(new Error(message.error));
      else question.resolve(message.answer);
    };
    this.onAnswer = onAnswer;
    model.on("msg:custom", this.receive);
    channels.set(this.name, this);
  }

  ask(kind, rest) {
    const id = `${this.name}-${Math.random()}`;
    return new Promise((resolve, reject) => {
      this.asked.set(id, { resolve, reject });
      this.model.send({ id, kind, ...rest });
    });
  }

  /** {id: tile}, of tiles that came unasked without asking again. */
  async tiles(ids) {
    const found = {};
    for (const id of ids) {
      if (this.pushed.has(id)) found[id] = { ...this.pushed.get(id) };
    }
    const missing = ids.filter((id) => !(id in found));
    if (missing.length) Object.assign(found, await this.ask("tiles", { tiles: missing }));
    setTimeout(this.onAnswer); // when the track has them
    return found;
  }

  tell(waiting) {
    this.model.send({ kind: "waiting", page: this.name, tiles: waiting });
  }

  close() {
    this.tell({});
    this.model.off("msg:custom", this.receive);
    channels.delete(this.name);
  }
}

/** HiGlass finds sources of a type that it does not know by a global name. */
export function registerFetcher() {
  function Fetcher(hgc, config, pubSub) {
    return new hgc.dataFetchers.DataFetcher(config, pubSub, {
      async fetchTilesetInfo({ server, tilesetUid }) {
        return { [tilesetUid]: await channels.get(server).ask("info", { uid: tilesetUid }) };
      },
      async fetchTiles({ server, tileIds }) {
        const ids = [...new Set(tileIds)];
        return hgc.services.tileResponseToData(await channels.get(server).tiles(ids), server, ids);
      },
      registerTileset() {
        throw new Error("tilesets of a notebook are known by their uids");
      },
    });
  }
  window.higlassDataFetchersByType = { ...window.higlassDataFetchersByType, [TYPE]: { name: TYPE, dataFetcher: Fetcher } };
}
