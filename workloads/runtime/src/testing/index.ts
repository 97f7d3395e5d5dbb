// Real servers for tests of engines.
export { debianBinary } from './debian.ts';
export { eventually } from './eventually.ts';
export { startMemcached } from './memcached.ts';
export { startPostgres, type TestPostgres } from './postgres.ts';
export { startRedis, type TestRedis } from './redis.ts';
export { freePort, startServer, type TestServer, type TestServerOptions } from './server.ts';
export { classifierTable, embeddingTable, keepLogit, writeModel } from './textModel.ts';
