// Reading the API server's audit log: who wrote what, and how often.
import { existsSync, readFileSync } from 'node:fs';

export interface AuditEvent {
  verb: string;
  user: { username: string; groups?: string[]; extra?: Record<string, string[]> };
  requestURI: string;
  objectRef?: { apiGroup?: string; resource?: string; subresource?: string; namespace?: string; name?: string };
  responseStatus?: { code?: number };
  stage: string;
  requestReceivedTimestamp: string;
  userAgent?: string;
  /** `authorization.k8s.io/decision` among others. */
  annotations?: Record<string, string>;
}

const WRITES = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

export function isWrite(event: AuditEvent): boolean {
  return WRITES.has(event.verb);
}

/**
 * The finished requests in an audit log, oldest first.
 * @param since only those received at or after this time, by the server's clock.
 */
export function auditEvents(path: string, since = new Date(0)): AuditEvent[] {
  if (!existsSync(path)) return [];
  const events: AuditEvent[] = [];
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const event = parseLine(line);
    if (event?.stage === 'ResponseComplete' && new Date(event.requestReceivedTimestamp) >= since) events.push(event);
  }
  return events;
}

/** Undefined for a line that the server is still writing. */
function parseLine(line: string): AuditEvent | undefined {
  try {
    return JSON.parse(line) as AuditEvent;
  } catch {
    return undefined;
  }
}
