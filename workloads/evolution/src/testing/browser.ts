// A real browser without a window: opens a page, and tells what it drew, asked for and complained about.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
/** Undefined where this machine has none. */
export const browserPath = [process.env['CHROME_BIN'], ...places].find((path) => path && existsSync(path));

export interface Page {
  /** The value of an expression in the page. */
  evaluate: (expression: string) => Promise<unknown>;
  /** Addresses that it asked for. */
  readonly requests: readonly string[];
  /** Errors and warnings of the console. */
  readonly complaints: readonly string[];
  close: () => Promise<void>;
}

const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', '--remote-debugging-port=0'];

export async function openPage(url: string): Promise<Page> {
  const folder = await mkdtemp(join(tmpdir(), 'quintet-browser-'));
  const child = spawn(browserPath!, [...flags, `--user-data-dir=${folder}`, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const end = async (): Promise<void> => {
    if (child.exitCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  try {
    return await attached(await debuggerOf(child), url, end);
  } catch (error) {
    await end();
    throw error;
  }
}

/** The address that the browser says on standard error. */
async function debuggerOf(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stderr! })) {
    const [, address] = /listening on (ws:\S+)/.exec(line) ?? [];
    if (address) return address;
  }
  throw new Error('the browser ended before it listened');
}

async function attached(address: string, url: string, end: () => Promise<void>): Promise<Page> {
  const { host } = new URL(address);
  const targets = (await (await fetch(`http://${host}/json/list`)).json()) as {
    type: string;
    webSocketDebuggerUrl: string;
  }[];
  const socket = new WebSocket(targets.find(({ type }) => type === 'page')!.webSocketDebuggerUrl);
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', reject);
  });
  const requests: string[] = [];
  const complaints: string[] = [];
  const waiting = new Map<number, (message: Message) => void>();
  let loaded: () => void = () => undefined;
  const whenLoaded = new Promise<void>((resolve) => (loaded = resolve));
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data)) as Message;
    if (message.id !== undefined) waiting.get(message.id)?.(message);
    else if (message.method === 'Page.loadEventFired') loaded();
    else if (message.method === 'Network.requestWillBeSent') requests.push(message.params.request!.url);
    else if (message.method === 'Log.entryAdded') complaints.push(message.params.entry!.text);
    else if (message.method === 'Runtime.exceptionThrown') complaints.push(JSON.stringify(message.params));
  });
  let serial = 0;
  const call = (method: string, params: object = {}) =>
    new Promise<Message>((resolve) => {
      waiting.set(++serial, resolve);
      socket.send(JSON.stringify({ id: serial, method, params }));
    });
  for (const domain of ['Page', 'Network', 'Log', 'Runtime']) await call(`${domain}.enable`);
  await call('Page.navigate', { url });
  await whenLoaded;
  return {
    requests,
    complaints,
    evaluate: async (expression) => {
      const { result } = await call('Runtime.evaluate', { expression, returnByValue: true });
      return result!.result.value;
    },
    close: async () => {
      socket.close();
      await end();
    },
  };
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params: { readonly request?: { readonly url: string }; readonly entry?: { readonly text: string } };
  readonly result?: { readonly result: { readonly value: unknown } };
}
