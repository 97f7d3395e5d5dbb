// What the rows of items are read as: all of them, what replicas keep of them, what a verdict shows.
export const indexed = `number::float8 as number, tenant, id, bank, sha256, hash, quality, features, embedding,
  embedding_model as "embeddingModel", profile, state, disabled_until as "disabledUntil"`;
export const columns = `${indexed}, metadata, source`;
export const shown = `number::float8 as number, tenant, id, bank, sha256, metadata, state, disabled_until as "disabledUntil",
  coalesce(octet_length(metadata::text), 0) as "metadataLength"`;
