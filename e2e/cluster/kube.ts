// The few requests that the harness itself sends to an API server, and the kubeconfig files it writes for others.
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';

export interface Identity {
  /** https://HOST:PORT */
  server: string;
  /** PEM, as the next two */
  ca: string;
  cert: string;
  key: string;
}

export interface KubeResponse {
  status: number;
  body: string;
}

/** One request with a client certificate; 10 s at most. A body that is not a string is sent as JSON. */
export function kubeRequest(
  identity: Identity,
  method: string,
  path: string,
  body?: unknown,
  contentType = 'application/json',
): Promise<KubeResponse> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      new URL(path, identity.server),
      {
        method,
        ca: identity.ca,
        cert: identity.cert,
        key: identity.key,
        agent: false,
        timeout: 10_000,
        headers: body === undefined ? {} : { 'content-type': contentType },
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () =>
          resolve({ status: incoming.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
        );
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer to ${method} ${path} in 10 s`)));
    outgoing.on('error', reject);
    outgoing.end(body === undefined || typeof body === 'string' ? body : JSON.stringify(body));
  });
}

/** Server-side apply of one object; throws with the server's message unless it is accepted. */
export async function applyObject(identity: Identity, path: string, object: unknown): Promise<void> {
  const query = '?fieldManager=quintet-cluster&force=true';
  const answer = await kubeRequest(identity, 'PATCH', path + query, object, 'application/apply-patch+yaml');
  if (answer.status >= 300) throw new Error(`apply ${path}: ${answer.status} ${answer.body}`);
}

/** Writes a kubeconfig with everything inside it, readable by its owner alone. JSON is YAML too. */
export function writeKubeconfig(path: string, name: string, identity: Identity): void {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [{ name, cluster: { server: identity.server, 'certificate-authority-data': base64(identity.ca) } }],
    users: [
      {
        name,
        user: { 'client-certificate-data': base64(identity.cert), 'client-key-data': base64(identity.key) },
      },
    ],
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'default' } }],
  };
  writeFileSync(path, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
}

function base64(pem: string): string {
  return Buffer.from(pem).toString('base64');
}
