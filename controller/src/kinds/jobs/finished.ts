// Whether a job has ended for good, as its status says: what ended is not begun again unless somebody asks for it.

interface Ended {
  metadata: { generation?: number };
  status?: {
    revision?: string;
    phase?: string;
    observedGeneration?: number;
    conditions?: { type: string; reason: string }[];
  };
}

/** Whether the status tells of an end of this very generation, whatever revision an earlier release of the controller gave it. */
export function isEndOf({ metadata, status }: Ended & { status?: { completionTime?: string } }): boolean {
  return status?.completionTime !== undefined && status.observedGeneration === metadata.generation;
}

/**
 * Ended at this revision, or at this very generation: a release that adds a default changes every revision, and asks
 * for nothing. What failed at its deadline has ended only as long as that deadline, which may be raised, is past.
 */
export function finishedAs(
  { metadata, status }: Ended,
  revision: string,
  deadline: Date | undefined,
  now: Date,
): 'Succeeded' | 'Failed' | undefined {
  const phase = status?.phase;
  if (phase !== 'Succeeded' && phase !== 'Failed') return undefined;
  const same = status?.revision === revision || status?.observedGeneration === metadata.generation;
  if (!same) return undefined;
  const late = status?.conditions?.some(({ type, reason }) => type === 'Stalled' && reason === 'DeadlineExceeded');
  return late && !(deadline && now >= deadline) ? undefined : phase;
}
