// The heap of another Node process, by its inspector (started with --inspect): collected first, so that what is left is held.
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

export class Heap {
  readonly #socket: WebSocket;
  readonly #answers = new Map<number, (result: unknown) => void>();
  #asked = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      const { id, result } = JSON.parse(String(data)) as { id: number; result: unknown };
      this.#answers.get(id)?.(result);
      this.#answers.delete(id);
    });
  }

  /** Waits for the address that the process prints; the rest of what it prints goes to this process's own error output. */
  static async of({ stderr }: ChildProcess): Promise<Heap> {
    if (!stderr) throw new TypeError('the process must be started with its error output piped');
    let end = (): void => undefined;
    const url = await new Promise<string>((resolve) => {
      createInterface({ input: stderr }).on('line', (line) => {
        const address = /^Debugger listening on (ws:\S+)$/.exec(line)?.[1];
        if (address) resolve(address);
        // A process that ends waits for whoever is at its inspector.
        else if (line.startsWith('Waiting for the debugger to disconnect')) end();
        else if (!/^(For help, see|Debugger )/.test(line)) console.error(line);
      });
    });
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', () => reject(new Error(`no inspector at ${url}`)));
    });
    end = () => socket.close();
    return new Heap(socket);
  }

  async usedMiB(): Promise<number> {
    await this.#ask('HeapProfiler.collectGarbage');
    const { usedSize } = (await this.#ask('Runtime.getHeapUsage')) as { usedSize: number };
    return usedSize / 2 ** 20;
  }

  #ask(method: string): Promise<unknown> {
    const id = ++this.#asked;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method}: no answer`)), 20_000);
      this.#answers.set(id, (result) => {
        clearTimeout(timer);
        resolve(result);
      });
      this.#socket.send(JSON.stringify({ id, method }));
    });
  }
}
