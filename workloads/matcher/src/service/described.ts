// Routes as /openapi.json shows them. Their bodies may be images or forms, which the handlers read themselves, and their
// answers are large: neither is checked again by the server.
import type { z } from 'zod';

/** What is answered, by status. Its type is left open, as an answer is JSON and what is sent may hold dates. */
type Answers = Readonly<Record<number, unknown>>;

export function answers(schema: z.ZodType, status = 200): Answers {
  return { [status]: schema };
}

/** For a body that the handler parses. */
export const readByHandler = { validatorCompiler: () => (value: unknown) => ({ value }) };

/** For an answer that is sent as it is. */
export const sentAsItIs = { serializerCompiler: () => (value: unknown) => JSON.stringify(value) };
