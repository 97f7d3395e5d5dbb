// What a part leaves behind, undone whatever ends the bench, a signal too: servers, processes, folders.
type Undo = () => Promise<void> | void;

const undone: Undo[] = [];

/** Remembers how something is undone; what is returned does it, once. */
export function atEnd(undo: Undo): () => Promise<void> {
  undone.push(undo);
  return async () => {
    const at = undone.indexOf(undo);
    if (at < 0) return;
    undone.splice(at, 1);
    await undo();
  };
}

/** Undoes what is left, the last first. */
export async function cleanUp(): Promise<void> {
  for (let undo = undone.pop(); undo; undo = undone.pop()) {
    try {
      await undo();
    } catch (error) {
      console.error(error);
    }
  }
}

/** A process that a signal ended has 128 and its number as its status. */
const signals = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** A second signal waits for nothing. */
export function cleanUpOnSignals(): void {
  let ending = false;
  for (const [signal, status] of Object.entries(signals)) {
    process.on(signal, () => {
      if (ending) process.exit(status);
      ending = true;
      void cleanUp().finally(() => process.exit(status));
    });
  }
}
